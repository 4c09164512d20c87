#!/usr/bin/env python3
"""Compares a scrape page, series by series, with what VictoriaMetrics has from the push.

    victoria-metrics -storageDataPath=DIR -httpListenAddr=127.0.0.1:8428
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:8428/opentelemetry OTEL_METRIC_EXPORT_INTERVAL=1000 \\
        vminsights-exporter demo
    tests/push/against_victoriametrics.py http://127.0.0.1:10048/metrics http://127.0.0.1:8428

A page is compared when it was the same before and after the push. What a process measures of itself
is another number at each look: of those the series are compared and the values are not. The
resource's and the scope's attributes, which VictoriaMetrics makes labels of, are left out. It stores
decimal numbers and drops digits beyond the twelfth or so: what differs by that is counted apart.
Exit code 0: nothing differs.
"""

import json
import re
import sys
import time
import urllib.request

SECONDS_FOR_A_PUSH = 4
CHANGING = re.compile("process_|vminsights_exporter_(otlp|http|api)_|vminsights_exporter_poll_(polls|duration|next|last)")
OF_THE_RESOURCE = re.compile(r"(service|cloud|otel|scope)[._]|job$|instance$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def get(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


def unescape(text):
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)


def on_the_page(text):
    series = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        head, value = line.rsplit(" ", 1)
        name, _, labels = head.partition("{")
        labels = {k: unescape(v) for k, v in LABEL.findall(labels) if v}
        series[(name, frozenset(labels.items()))] = float(value)
    return series


def number(value):
    return float(value) if isinstance(value, str) else float("nan") if value is None else value


def stored(url):
    get(f"{url}/internal/force_flush")
    series = {}
    for line in get(f"{url}/api/v1/export?match[]={{__name__!=%22%22}}").splitlines():
        one = json.loads(line)
        labels = one["metric"]
        name = labels.pop("__name__")
        labels = {k: v for k, v in labels.items() if not OF_THE_RESOURCE.match(k)}
        newest = max(zip(one["timestamps"], one["values"]))
        series[(name, frozenset(labels.items()))] = number(newest[1])
    return series


def main(page_url, store_url):
    for _ in range(20):
        before = on_the_page(get(page_url))
        time.sleep(SECONDS_FOR_A_PUSH)
        have = stored(store_url)
        page = on_the_page(get(page_url))
        settled = [k for k in page if not CHANGING.match(k[0])]
        if len(settled) > 100 and all(before.get(k) == page[k] for k in settled):
            break
    else:
        sys.exit("the page never stood still")
    missing = [k for k in page if k not in have]
    more = [k for k in have if k not in page]
    differing = [
        (k, page[k], have[k])
        for k in settled
        if k in have and page[k] != have[k] and not (page[k] != page[k] and have[k] != have[k])
    ]
    rounded = [d for d in differing if abs(d[1] - d[2]) <= 1e-11 * abs(d[1])]
    differing = [d for d in differing if d not in rounded]
    print(
        f"page {len(page)} series in {len({k[0] for k in page})} families, stored {len(have)}; "
        f"values compared {len(settled)}, differing {len(differing)}, "
        f"rounded by the store {len(rounded)}; "
        f"series missing {len(missing)}, on no page {len(more)}"
    )
    for item in (missing + more + differing)[:20]:
        print(item)
    sys.exit(bool(missing or differing))


main(*sys.argv[1:3])
