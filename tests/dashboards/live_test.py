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

LIFE = 75  # seconds that the pipeline runs before the first query; simulated, as many minutes
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
    "vminsights-exporter / Throttled share of requests / A", "vminsights-exporter / Clock skew / A",
    "vminsights-exporter / Configuration in use / A", "vminsights-exporter / Configuration in use / B",
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

    def run(self, target, variables):
        """The series of a panel's query."""
        now, query = time.time(), filled(target["expr"], variables)
        if target["instant"]:
            return self.ask("query", query=query, time=now)["result"]
        return self.ask("query_range", query=query, start=now - 90, end=now, step=1)["result"]

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


def boards():
    files = sorted((ROOT / "dashboards").glob("*.json"))
    assert files, "there are no dashboards"
    return [json.loads(file.read_text()) for file in files]


def queries(board):
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield f"{board['uid']} / {panel['title']} / {target['refId']}", panel["type"], target
    for note in board["annotations"]["list"]:
        yield f"{board['uid']} / annotation {note['name']}", "annotation", {**note["target"], "instant": False}


class LiveTest(unittest.TestCase):
    def source(self, scenario):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        pipeline = Replicas(folder.name)
        self.addCleanup(pipeline.stop)
        pipeline.begin(scenario)
        source, last = Source(pipeline.prometheus), time.time() + 20
        while True:
            try:
                if source.ask("query", query="up"):
                    return source
            except urllib.error.URLError:
                self.assertLess(time.time(), last, "Prometheus does not start")
            time.sleep(0.2)

    def test_every_query_has_data_and_no_replica_shows(self):
        source = self.source("mixed")
        time.sleep(LIFE)
        problems, asked = [], set()
        for board in boards():
            tried = choices(board, source)
            self.assertTrue(tried, f"{board['uid']}: a variable has no value")
            for name, kind, target in queries(board):
                asked.add(name)
                found, until = [], time.time() + (0 if name in MAY_BE_EMPTY else PATIENCE)
                while not found:
                    results = (source.run(target, variables) for variables in tried)
                    found = next((result for result in results if result), [])
                    if time.time() > until:
                        break
                    time.sleep(0 if found else 1)
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

    def test_a_silent_feed_is_not_zero_threats(self):
        source = self.source("silent-feed")
        panels = [(board, panel) for board in boards() for panel in board["panels"] if panel["type"] == "stat"]
        feeds = [(board, panel) for board, panel in panels if panel["title"] == "Threat feed"]
        counts = [(board, panel) for board, panel in panels if panel["fieldConfig"]["defaults"].get("noValue") == "Not known" and "threat" in panel["description"].lower()]
        self.assertEqual((len(feeds), len(counts)), (4, 7))
        last = time.time() + 60
        while True:
            states = [source.run(panel["targets"][0], choices(board, source)[0]) for board, panel in feeds if choices(board, source)]
            if len(states) == 4 and all(state and state[0]["value"][1] == "0" for state in states):
                break
            self.assertLess(time.time(), last, f"the feed is silent, but the panels say {states}")
            time.sleep(1)
        for board, panel in counts:
            for variables in choices(board, source):
                self.assertEqual(source.run(panel["targets"][0], variables), [], f"{board['uid']} / {panel['title']}: not known is no number")


if __name__ == "__main__":
    unittest.main(verbosity=2)
