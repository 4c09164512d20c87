"""Every query of every dashboard, run by a real Prometheus with the shipped rules on the demo's workspace.

The pipeline is that of tests/paging, an hour of life a minute, in the scenario with something of everything. Prometheus
scrapes the exporter twice, as two replicas: what counts them twice, or tells them apart, is found out.
Needs VMINSIGHTS_EXPORTER to name the release binary.
"""

import json
import pathlib
import re
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "paging"))

from pipeline_test import Pipeline  # noqa: E402

LIFE = 100  # seconds that the pipeline runs before the first query; simulated, as many minutes
PATIENCE = 30  # and how long after that a query may still come to have data
ALL = ".*"

# What may have no data, and why.
MAY_BE_EMPTY = {
    "vminsights-exporter / Failures by reason / A": "no poll fails unless the machine is too slow for this pace",
    "vminsights-exporter / Polls per minute / B": "no poll fails unless the machine is too slow for this pace",
}
# Queries about the replicas themselves.
REPLICAS = {
    "vminsights-exporter / Page size / A", "vminsights-exporter / Scrape time / A", "vminsights-exporter / Memory / A",
    "vminsights-exporter / CPU / A", "vminsights-exporter / Builds / A",
}


class Replicas(Pipeline):
    """The pipeline, with the exporter scraped under two names."""

    def prometheus_configuration(self):
        config = super().prometheus_configuration()
        one = f"'127.0.0.1:{self.exporter_port}'"
        text, found = re.subn(re.escape(one), f"{one}, 'localhost:{self.exporter_port}'", config.read_text())
        assert found == 1, "prometheus.yml has not one target any more"
        config.write_text(text)
        return config


class Source:
    """The HTTP API of Prometheus, asked as Grafana's data source asks."""

    def __init__(self, url):
        self.url = url
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path, **parameters):
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", urllib.parse.urlencode(parameters, doseq=True).encode())
        try:
            with self.opener.open(request, timeout=20) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters.get('query')}: {error.read().decode()}") from error

    def values(self, series, label):
        path = f"label/{label}/values?" + urllib.parse.urlencode({"match[]": series})
        with self.opener.open(f"{self.url}/api/v1/{path}", timeout=20) as response:
            return json.load(response)["data"]


def escaped(value):
    """A value for a regular expression within a PromQL string, as Grafana writes it."""
    return re.sub(r'[\\^$.*+?()\[\]{}|]', lambda found: "\\\\" + found[0], value)


def filled(text, variables):
    built_in = {"__rate_interval": "4s", "__range": "100s", "__interval": "1s"}
    return re.sub(r"\$(\w+)", lambda found: {**built_in, **variables}[found[1]], text)


def choices(board, source):
    """The variables' values to try: all of those that have All, each of the others' in turn."""
    tried = [{}]
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        if variable["includeAll"]:
            tried = [{**one, variable["name"]: ALL} for one in tried]
            continue
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
        tried = [
            {**one, variable["name"]: escaped(value)}
            for one in tried
            for value in source.values(filled(series, one), label) or [""]
        ]
    return tried


class LiveTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.pipeline = Replicas(folder.name)
        cls.addClassCleanup(cls.pipeline.stop)
        cls.pipeline.begin("mixed", (), 0)
        time.sleep(LIFE)
        cls.source = Source(cls.pipeline.prometheus)

    def result(self, target):
        now = time.time()
        if target["instant"]:
            return self.source.ask("query", query=target["expr"], time=now)["result"]
        return self.source.ask("query_range", query=target["expr"], start=now - 90, end=now, step=1)["result"]

    def queries(self, board):
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield f"{board['uid']} / {panel['title']} / {target['refId']}", panel["type"], target
        for note in board["annotations"]["list"]:
            yield f"{board['uid']} / annotation {note['name']}", "annotation", {**note["target"], "instant": False}

    def test_every_query_has_data_and_no_replica_shows(self):
        problems, asked = [], set()
        self.assertTrue(list((ROOT / "dashboards").glob("*.json")))
        for file in sorted((ROOT / "dashboards").glob("*.json")):
            board = json.loads(file.read_text())
            tried = choices(board, self.source)
            self.assertTrue(tried, f"{file}: a variable has no value")
            for name, kind, target in self.queries(board):
                asked.add(name)
                found, until = [], time.time() + (0 if name in MAY_BE_EMPTY else PATIENCE)
                while True:
                    for variables in tried:
                        found = self.result({**target, "expr": filled(target["expr"], variables)})
                        if found:
                            break
                    if found or time.time() > until:
                        break
                    time.sleep(1)
                if not found and name not in MAY_BE_EMPTY:
                    problems.append(f"{name}: no data: {target['expr']}")
                if name not in REPLICAS and any({"instance", "pod"} & one["metric"].keys() for one in found):
                    problems.append(f"{name}: tells replicas apart")
                if kind != "table" and len(found) > 20:
                    problems.append(f"{name}: {len(found)} series")
        for name in (MAY_BE_EMPTY.keys() | REPLICAS) - asked:
            problems.append(f"{name}: there is no such query")
        print(f"{len(asked)} queries", flush=True)
        self.assertEqual(problems, [], "\n" + "\n".join(problems))


if __name__ == "__main__":
    unittest.main(verbosity=2)
