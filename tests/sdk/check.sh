#!/bin/sh
# Microsoft's Python and JavaScript clients against the simulated workspace.
# Needs what tests/sdk/install.sh installs, and VMINSIGHTS_EXPORTER to name the binary; runs from anywhere.
set -eu
cd "$(dirname "$0")/../.."
: "${VMINSIGHTS_EXPORTER:?names the binary}"
# A proxy has no way to this machine's own addresses.
export NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,127.0.0.1

.tools/sdk/python/bin/python tests/sdk/test_python.py
