#!/bin/sh
# Installs the checkers of the deploy files into .tools/deploy, where they are missing or of another version.
set -eu
cd "$(dirname "$0")/../.."
tools=.tools/deploy
wanted=tests/deploy/requirements.txt

if ! cmp -s "$wanted" "$tools/installed.txt"; then
    echo "installing the checkers of the deploy files into $tools"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$tools/installed.txt"
fi
if ! command -v systemd-analyze >/dev/null; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd
fi
# Debian's own kubectl is too old to know what a kustomization may say today.
kubectl kustomize --help >/dev/null 2>&1 || {
    echo "install.sh: kubectl 1.27 or newer is needed, and not in Debian: see kubernetes.io" >&2
    exit 1
}
