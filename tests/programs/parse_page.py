"""Fetches an exporter's page in its text formats, plain and gzip, and parses each with prometheus_client,
which shares no code with the exporter.

Usage: parse_page.py URL. Prints one JSON object: {family: number of series}. Fails on a label set that
comes twice, a family that comes twice, one without help, a value that is no number, a gzip body that is
not one whole member, and where the formats do not say the same.
"""

import json
import sys
import urllib.request
import zlib

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

TEXT = ("text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8", text)
OPENMETRICS = (
    "application/openmetrics-text;version=1.0.0",
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
    openmetrics,
)
ATTEMPTS = 20


def fetch(url, accept, expected, coding):
    request = urllib.request.Request(url, headers={"Accept": accept, "Accept-Encoding": coding})
    with urllib.request.urlopen(request, timeout=10) as answer:
        body = answer.read()
        if answer.headers["Content-Type"] != expected:
            sys.exit(f"{accept} got {answer.headers['Content-Type']}")
        if answer.headers.get("Content-Encoding", "identity") != coding:
            sys.exit(f"{coding} got {answer.headers.get('Content-Encoding')}")
        if int(answer.headers["Content-Length"]) != len(body):
            sys.exit(f"Content-Length is not {len(body)}")
    if coding == "gzip":
        member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        body = member.decompress(body)
        if not member.eof or member.unused_data:
            sys.exit("the gzip body is not one whole member")
    return body.decode()


def parse(page, parser):
    """The samples by name and labels, and the families' sizes; `_created` is OpenMetrics' own."""
    samples, families = {}, {}
    for family in parser(page):
        if family.name in families:
            sys.exit(f"family {family.name} comes twice")
        if not family.documentation:
            sys.exit(f"family {family.name} has no help")
        families[family.name] = 0
        for sample in family.samples:
            if family.type == "counter" and sample.name == family.name + "_created":
                continue
            key = (sample.name, tuple(sorted(sample.labels.items())))
            if key in samples:
                sys.exit(f"{sample.name}{sample.labels} comes twice")
            if not isinstance(sample.value, (int, float)):
                sys.exit(f"{sample.name}{sample.labels} has no number")
            samples[key] = repr(float(sample.value))
            families[family.name] += 1
    return samples, families


def lasting(samples):
    """Without what every scrape changes."""
    changes = ("process_", "vminsights_exporter_http_", "vminsights_exporter_api_", "vminsights_exporter_scrapes_")
    return {key: value for key, value in samples.items() if not key[0].startswith(changes)}


def pages(url):
    for kind in (TEXT, OPENMETRICS):
        for coding in ("identity", "gzip"):
            accept, expected, parser = kind
            yield parse(fetch(url, accept, expected, coding), parser)


for _ in range(ATTEMPTS):
    first, *others = pages(sys.argv[1])
    last, _ = parse(fetch(sys.argv[1], *TEXT[:2], "identity"), text)
    # A poll that ended meanwhile has changed the page: only where none did must all be equal.
    if lasting(first[0]) == lasting(last):
        break
else:
    sys.exit(f"the page changed during each of {ATTEMPTS} attempts")
for samples, families in others:
    if lasting(samples) != lasting(first[0]):
        differing = set(lasting(samples).items()) ^ set(lasting(first[0]).items())
        sys.exit(f"the formats differ: {sorted(differing)[:10]}")
print(json.dumps(first[1]))
