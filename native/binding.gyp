# The targets of the addon and the recorder. The binding.gyp at the root of the repository includes
# this file. The npm package has no binding.gyp at its root, because yarn, pnpm and bun would then
# compile the addon at every installation.
{
  "variables": { "warnings": ["-Wall", "-Wextra", "-Werror=return-type"] },
  "targets": [
    {
      "target_name": "offheap",
      "sources": ["addon.cc", "files.cc", "lab.cc"],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      "defines": [
        "NAPI_VERSION=8",
        "NODE_ADDON_API_DISABLE_DEPRECATED",
        "NODE_ADDON_API_CPP_EXCEPTIONS"
      ],
      "cflags!": ["-fno-exceptions", "-Wno-unused-parameter"],
      "cflags_cc!": ["-fno-exceptions", "-Wno-unused-parameter"],
      "cflags_cc": ["<@(warnings)"],
      # native/prebuild selects sources by suffix: _posix, _linux, _macos, _windows.
      "conditions": [
        ["OS=='linux'", {
          "sources": [
            "pages_posix.cc", "pages_linux.cc", "faults_posix.cc", "files_posix.cc",
            "lab_linux.cc", "sharing_posix.cc", "barrier_linux.cc"
          ]
        }],
        ["OS=='win'", {
          "sources": [
            "pages_windows.cc", "faults_windows.cc", "files_windows.cc", "lab_windows.cc"
          ],
          "msvs_settings": { "VCCLCompilerTool": { "ExceptionHandling": 1 } }
        }],
        ["OS=='mac'", {
          "sources": [
            "pages_posix.cc", "pages_macos.cc", "faults_posix.cc", "files_posix.cc",
            "lab_macos.cc", "sharing_posix.cc", "barrier_macos.cc"
          ],
          "xcode_settings": {
            "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
            "CLANG_CXX_LIBRARY": "libc++",
            "MACOSX_DEPLOYMENT_TARGET": "11.0",
            "WARNING_CFLAGS": ["<@(warnings)"]
          }
        }]
      ]
    }
  ],
  "conditions": [
    ["OS=='linux'", {
      "targets": [
        {
          # The library that `offheap record` preloads into a program. Plain C, without Node-API. It
          # is not a .node file, because the loader takes the first such file for the addon.
          "target_name": "recorder",
          "type": "shared_library",
          "product_extension": "so",
          "sources": ["recorder.c"],
          "cflags": ["<@(warnings)", "-std=gnu11", "-fno-builtin", "-fvisibility=hidden"],
          "cflags!": ["-Wno-unused-parameter"],
          "ldflags": ["-Wl,--as-needed"],
          "libraries": ["-ldl"]
        }
      ]
    }]
  ]
}
