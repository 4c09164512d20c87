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
# kubectl from the system's own mirror, out of a newer Debian than some run: bookworm's does not know what
# a kustomization may say today. It goes into $tools; nothing of the system is changed.
if ! PATH="$PWD/$tools/bin:$PATH" kubectl kustomize deploy/kubernetes/base >/dev/null 2>&1; then
    echo "installing kubectl into $tools"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -v security | head -1) || mirror=""
    [ -n "$mirror" ] || {
        echo "install.sh: kubectl 1.27 or newer is needed, and this is no Debian to take it from" >&2
        exit 1
    }
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # apt's own user must be able to write there.
    chmod 755 "$work"
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    echo "deb $mirror trixie main" >"$work/sources.list"
    newer_apt() {
        apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
            -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
    }
    newer_apt update
    (cd "$work" && newer_apt download kubectl/trixie && dpkg-deb -x kubectl_*.deb unpacked)
    cp "$work/unpacked/usr/bin/kubectl" "$tools/bin/kubectl"
fi
