#!/bin/sh
# Installs Microsoft's own clients of the Logs Query API into .tools/sdk, where they are missing.
# Versions are pinned. Fails loudly: a test without its client is no test.
set -eu
cd "$(dirname "$0")/../.."

if ! cmp -s tests/sdk/requirements.txt .tools/sdk/python/installed; then
    echo "installing azure-monitor-query and azure-identity into .tools/sdk/python"
    python3 -m venv .tools/sdk/python
    .tools/sdk/python/bin/pip install --quiet --disable-pip-version-check -r tests/sdk/requirements.txt
    cp tests/sdk/requirements.txt .tools/sdk/python/installed
fi

if ! cmp -s tests/sdk/package.json .tools/sdk/node/installed; then
    echo "installing @azure/monitor-query-logs and @azure/identity into .tools/sdk/node"
    mkdir -p .tools/sdk/node
    cp tests/sdk/package.json .tools/sdk/node/
    npm install --prefix .tools/sdk/node --loglevel=error --no-audit --no-fund
    cp tests/sdk/package.json .tools/sdk/node/installed
fi
