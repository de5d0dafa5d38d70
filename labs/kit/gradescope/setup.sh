#!/usr/bin/env bash
# Builds the image: Node, offheap, esbuild and TypeScript. Grading itself needs no network.
set -euo pipefail
curl -fsSL https://deb.nodesource.com/setup_22.x | bash -
apt-get install -y nodejs
npm install --global offheap@VERSION offheap-labs@VERSION esbuild typescript
