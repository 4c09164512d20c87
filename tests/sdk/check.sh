#!/bin/sh
# Microsoft's Python and JavaScript clients against the simulated workspace.
# Needs what tests/sdk/install.sh installs, and VMINSIGHTS_EXPORTER to name the binary; runs from anywhere.
set -eu
cd "$(dirname "$0")/../.."
: "${VMINSIGHTS_EXPORTER:?names the binary}"

for tests in ".tools/sdk/python/bin/python tests/sdk/test_python.py" "node --test --test-reporter=spec tests/sdk/test_javascript.mjs"; do
    # Unquoted: a command and its arguments.
    # shellcheck disable=SC2086
    python3 tests/sdk/with_workspace.py $tests
done
