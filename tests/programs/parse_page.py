"""Parses a page of metrics on stdin with prometheus_client, which shares no code with the exporter.

Prints one JSON object: {family: number of series}. Fails on a label set that comes twice, a family
that comes twice, and a value that is no number.
"""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    if family.name in families:
        sys.exit(f"family {family.name} comes twice")
    if not family.documentation:
        sys.exit(f"family {family.name} has no help")
    label_sets = set()
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        if key in label_sets:
            sys.exit(f"{sample.name}{sample.labels} comes twice")
        if not isinstance(sample.value, (int, float)):
            sys.exit(f"{sample.name}{sample.labels} has no number")
        label_sets.add(key)
    families[family.name] = len(label_sets)
print(json.dumps(families))
