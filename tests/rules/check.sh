#!/bin/sh
# Checks the Prometheus configuration, the rules and what hangs on them. Needs promtool (or PROMTOOL) and
# python3; runs from anywhere. METRICS names the list of metrics, docs/metrics.md unless set.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
promtool=${PROMTOOL:-promtool}

"$promtool" check config deploy/prometheus/prometheus.yml
"$promtool" check rules --lint=all --lint-fatal deploy/prometheus/rules/*.yaml
"$promtool" test rules tests/rules/*.yaml
python3 tests/rules/check.py "${METRICS:-docs/metrics.md}"
