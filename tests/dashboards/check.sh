#!/bin/sh
# Checks the dashboards without running anything but Node: Grafana's own types, series and labels, links, thresholds.
# Needs what tests/programs/install.sh installs; runs from anywhere.
set -eu
cd "$(dirname "$0")/../.."

types=.tools/node/dashboards
rm -rf "$types"
node tests/dashboards/types.mjs "$types"
.tools/node/node_modules/.bin/tsc --noEmit --strict --skipLibCheck --target es2022 --module esnext --moduleResolution bundler "$types"/*.ts
node tests/dashboards/check.mjs
