#!/bin/sh
# Checks every file in deploy/ that docker, Kubernetes, systemd or Azure reads, as strictly as can be done
# without any of them. Needs what tests/deploy/install.sh installs, kubectl, promtool, amtool and systemd-analyze.
set -eu
cd "$(dirname "$0")/../.."
tools=.tools/deploy/bin
export PATH="$PWD/$tools:$PATH" PYTHONDONTWRITEBYTECODE=1
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

fail() {
    echo "check.sh: $*" >&2
    exit 1
}

for name in kubectl promtool amtool systemd-analyze; do
    command -v "$name" >/dev/null || fail "$name is not installed"
done
for name in python hadolint yamllint kubernetes-validate; do
    [ -x "$tools/$name" ] || fail "$name is missing: run tests/deploy/install.sh"
done

# What is made from other files is what would be made of them now.
python deploy/generate.py --check

hadolint --failure-threshold style deploy/docker/Dockerfile
echo "docker: hadolint finds nothing"

# Generated files have long lines; they are read by the other checks.
find deploy/docker deploy/kubernetes -name '*.y*ml' -exec grep -L '^# Made by deploy/generate.py' {} + |
    xargs yamllint --strict -c tests/deploy/yamllint.yaml

# Each folder that people may apply.
for folder in base overlays/prometheus-operator overlays/annotations overlays/shards; do
    kubectl kustomize "deploy/kubernetes/$folder" >"$made/$(basename "$folder").yaml"
done
[ ! -d dashboards ] || kubectl kustomize dashboards >"$made/dashboards.yaml"
python tests/deploy/judge_kubernetes.py "$made"/*.yaml

# What compose mounts, laid out as in the containers.
mkdir "$made/prometheus" "$made/alertmanager"
cp -r deploy/docker/prometheus.yml deploy/prometheus/rules "$made/prometheus"
cp -r deploy/docker/alertmanager.yml deploy/alertmanager/templates "$made/alertmanager"
promtool check config --lint=all --lint-fatal "$made/prometheus/prometheus.yml" >"$made/said.txt" 2>&1 ||
    fail "docker/prometheus.yml: $(cat "$made/said.txt")"
amtool check-config "$made/alertmanager/alertmanager.yml" >"$made/said.txt" 2>&1 ||
    fail "docker/alertmanager.yml: $(cat "$made/said.txt")"

# The program isn't installed here, so the unit is judged with one that is. verify exits 0 on unknown keys.
sed 's#/usr/bin/vminsights-exporter #/bin/true #; s#/usr/bin/vminsights-exporter$#/bin/true#' \
    deploy/systemd/vminsights-exporter.service >"$made/vminsights-exporter.service"
said=$(systemd-analyze verify "$made/vminsights-exporter.service" 2>&1) || fail "verify: $said"
[ -z "$said" ] || fail "systemd-analyze verify says: $said"
# In tenths: the threshold of --threshold is.
systemd-analyze security --offline=true --threshold=11 --no-pager "$made/vminsights-exporter.service" >"$made/security.txt" ||
    fail "the unit is more exposed than it was: $(tail -1 "$made/security.txt")"
echo "systemd: $(tail -1 "$made/security.txt")"

python tests/deploy/judge_compose.py
python tests/deploy/judge_azure.py
python tests/deploy/judge_secrets.py
