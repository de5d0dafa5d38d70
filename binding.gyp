# For node-gyp in a checkout; the npm package has native/binding.gyp alone.
{ "includes": ["native/binding.gyp"] }
