#!/bin/sh
# Installs what the tests with real programs start, where it is missing: Prometheus and Alertmanager
# from the system's packages, the rest into .tools/. Fails loudly: a test without its program is no test.
set -eu
cd "$(dirname "$0")/../.."

missing=""
command -v prometheus >/dev/null && command -v promtool >/dev/null || missing="prometheus"
command -v prometheus-alertmanager >/dev/null && command -v amtool >/dev/null || missing="$missing prometheus-alertmanager"
if [ -n "$missing" ]; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "installing $missing"
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    # Unquoted: these are several packages.
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

python=.tools/python/bin/python
if ! $python -c 'import prometheus_client, duckdb_kql' 2>/dev/null; then
    echo "installing prometheus_client and duckdb-kql into .tools/python"
    python3 -m venv .tools/python
    .tools/python/bin/pip install --quiet --disable-pip-version-check -r tests/programs/requirements.txt
fi

if ! cmp -s tests/programs/package.json .tools/node/installed; then
    echo "installing Microsoft's KQL analyser, Grafana's types and a PromQL parser into .tools/node"
    mkdir -p .tools/node
    cp tests/programs/package.json .tools/node/
    npm install --prefix .tools/node --silent --no-audit --no-fund
    cp tests/programs/package.json .tools/node/installed
fi

promtool --version 2>&1 | head -1
$python --version
node --version
