#!/bin/sh
# Tests deploy/prometheus/: promtool's own checks and unit tests, and that rules, runbooks and metrics
# name each other. Needs promtool and python3.
#   tests/rules/check.sh
set -eu
cd "$(dirname "$0")/../.."
rules=deploy/prometheus/rules

promtool check rules --lint=all --lint-fatal $rules/*.yaml
promtool check config deploy/prometheus/prometheus.yml
promtool test rules tests/rules/*.yaml
python3 tests/rules/names.py
