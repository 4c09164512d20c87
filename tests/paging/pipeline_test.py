"""The whole way of a page, with the real programs and the shipped files.

simulated workspace -> exporter -> Prometheus (deploy/prometheus/rules) -> Alertmanager
(deploy/alertmanager) -> mail and webhook. Nothing is posted by hand: rows arrive in the workspace.

An hour of life has to pass in a minute, so a minute is made a second everywhere (SCALE):
- the workspace: --row-interval 1s; what its rows are late by scales with it
- the packs: interval and window, in a copy that the exporter reads as the user's own queries
- the rules: for, keep_firing_for, ranges, offsets, and the thresholds that are lengths of time
- Prometheus: scrape and evaluation every 250 ms in place of 15 s, the look-back with them
- Alertmanager: what tests/alertmanager/rig.py says it rewrites
- the limits on requests, the workspace's and the exporter's
Timeouts of requests stay as they are. Needs VMINSIGHTS_EXPORTER to name the release binary.

PAGING_SCALE=1 runs at life's own pace with the shipped intervals and group_wait, to measure with (the test of
the attack takes an hour then):
    PAGING_SCALE=1 python3 tests/paging/pipeline_test.py PipelineTest.test_an_attack_pages_soon_and_ends_once
"""

import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "alertmanager"))

from rig import Rig, free_port, program  # noqa: E402

SCALE = int(os.environ.get("PAGING_SCALE", 60))
MINUTE = 60 / SCALE  # how many seconds a simulated minute takes
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAILBOX = "security@example.com"


def scaled(number, unit):
    """A length of time, a SCALEth of it, as Prometheus and our YAML write it."""
    return f"{max(1, round(int(number) * SECONDS[unit] * 1000 / SCALE))}ms"


def scaled_rules(text):
    length = r"(\d+)([smhd])"
    for place in [rf"((?:for|keep_firing_for|interval): ){length}\b", rf"(\[){length}(?=\])", rf"(offset ){length}\b"]:
        text = re.sub(place, lambda found: found[1] + scaled(found[2], found[3]), text)
    # Thresholds that are lengths of time are written as products of 60.
    text, found = re.subn(r"vector\((\d+(?: \* 60)+)\)", rf"vector(\1 / {SCALE})", text)
    assert found, "the rules no longer write lengths of time as products of 60: adapt scaled_rules()"
    return text


def scaled_pack(text):
    return re.sub(r"(?m)^((?:interval|window): )(\d+)([smhd])$", lambda found: found[1] + scaled(found[2], found[3]), text)


def moment(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat()


class Pipeline:
    """All programs. `stop` ends those that were started."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.children = []
        self.rig = Rig(self.folder, hurried=SCALE > 1)

    def begin(self, scenario, rows=(), age=0):
        """`age`: how long the workspace lives before anybody looks at it, in seconds."""
        data = self.folder / "tables"
        data.mkdir()
        if rows:
            (data / "VMConnection.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
        ca = self.folder / "ca.pem"
        workspace = self.start(
            "workspace", os.environ["VMINSIGHTS_EXPORTER"], "workspace", "--web.listen-address=127.0.0.1:0",
            f"--data={data}", f"--scenario={scenario}", f"--row-interval={MINUTE:g}s", f"--ca-file={ca}",
        )
        self.access = json.loads(workspace.stdout.readline())
        time.sleep(age)
        self.exporter_port = free_port()
        self.exporter = self.start(
            "exporter", os.environ["VMINSIGHTS_EXPORTER"], "serve", f"--config.file={self.configuration()}",
            f"--web.listen-address=127.0.0.1:{self.exporter_port}",
        )
        self.prometheus = f"http://127.0.0.1:{free_port()}"
        self.start(
            "prometheus", program("prometheus"), f"--config.file={self.prometheus_configuration()}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}", f"--web.listen-address={self.prometheus.removeprefix('http://')}",
            f"--query.lookback-delta={300 if SCALE == 1 else 5}s",
        )

    def start(self, name, *arguments):
        with open(self.folder / f"{name}.log", "wb") as log:
            child = subprocess.Popen(
                arguments, stdout=subprocess.PIPE, stderr=log, env={**os.environ, "NO_PROXY": "127.0.0.1"}
            )
        self.children.append(child)
        return child

    def configuration(self):
        queries = self.folder / "queries"
        queries.mkdir()
        for file in (ROOT / "src" / "catalogue" / "packs").glob("*/*"):
            text = file.read_text()
            (queries / file.name).write_text(scaled_pack(text) if file.suffix == ".yaml" else text)
        (self.folder / "secret").write_text(self.access["client_secret"])
        config = self.folder / "exporter.yaml"
        config.write_text(
            f"""azure:
  cloud: {{logs: '{self.access['endpoint']}', audience: '{self.access['audience']}', authority: '{self.access['authority']}'}}
  credential: {{client_secret: {{tenant_id: {self.access['tenant_id']}, client_id: {self.access['client_id']}, secret_file: secret}}}}
  ca_file: ca.pem
  requests_per_30s: {180 * SCALE}
workspaces: [{{id: {self.access['workspace_id']}, name: prod}}]
packs: []
queries_dir: queries
limits: {{stale_after: {300 / SCALE:g}s}}
"""
        )
        return config

    def prometheus_configuration(self):
        rules = self.folder / "rules"
        rules.mkdir()
        for file in (ROOT / "deploy" / "prometheus" / "rules").glob("*.yaml"):
            (rules / file.name).write_text(scaled_rules(file.read_text()))
        shipped = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text()
        hurry = [
            (r"(scrape_interval|evaluation_interval): 15s", r"\1: 250ms"),
            (r"scrape_timeout: 10s", "scrape_timeout: 250ms"),
        ]
        for pattern, replacement in [
            *(hurry if SCALE > 1 else []),
            (r"127\.0\.0\.1:9093", self.rig.url.removeprefix("http://")),
            (r"127\.0\.0\.1:10048", f"127.0.0.1:{self.exporter_port}"),
        ]:
            shipped, found = re.subn(pattern, replacement, shipped)
            assert found, f"prometheus.yml no longer has {pattern!r}: adapt prometheus_configuration()"
        config = self.folder / "prometheus.yml"
        config.write_text(shipped)
        return config

    def value(self, promql):
        url = f"{self.prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": promql})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=5) as response:
            result = json.load(response)["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def stop(self):
        for child in reversed(self.children):
            child.kill()
            child.wait()
            child.stdout.close()
        self.rig.stop()

    def events(self, name):
        """What the webhook was told of an alert: [(status, alert)] in order."""
        return [
            (alert["status"], alert)
            for _, body in self.rig.posts("/webhook")
            for alert in body["alerts"]
            if alert["labels"]["alertname"] == name
        ]


def connection(vm, ip, kind, direction, arrives, generated=None):
    return {
        "TimeGenerated": moment(generated or arrives - 2), "_IngestionTime": moment(arrives), "Computer": vm,
        "_ResourceId": f"/subscriptions/0/{vm}", "RemoteIp": ip, "IndicatorThreatType": kind, "Direction": direction,
        "Severity": 5, "Confidence": "90", "MaliciousIp": ip,
    }


class PipelineTest(unittest.TestCase):
    def pipeline(self, *arguments):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        pipeline = Pipeline(folder.name)
        self.addCleanup(pipeline.stop)
        pipeline.begin(*arguments)
        return pipeline

    def test_an_attack_pages_soon_and_ends_once(self):
        # The attack lasts 10 simulated minutes; one of its rows is 40 of them late.
        begins = time.time() + 15
        rows = [
            connection("PAY-01", "198.51.100.77", "C2", "outbound", begins + at * MINUTE) for at in range(10)
        ]
        late = begins + 5 * MINUTE
        rows.append(connection("PAY-02", "203.0.113.200", "Botnet", "inbound", late, late - 40 * MINUTE))
        pipeline = self.pipeline("calm", rows)
        self.assertLess(time.time(), begins - 5, "the programs took too long to start")
        rig = pipeline.rig

        # Poll interval, scrape, two evaluations, group_wait; the rest is for the machine.
        longest = MINUTE + (0.75 + 1 if SCALE > 1 else 15 + 30 + 10) + 5
        rig.until("the attack's mail", lambda: rig.mails(MAILBOX, "C2"), 15 + longest + 10)
        latency = time.time() - begins
        print(f"row queryable -> mail: {latency:.1f} s; a minute takes {MINUTE:g} s", flush=True)
        self.assertLess(latency, longest)
        mail = rig.mails(MAILBOX, "C2")[0]
        self.assertIn("pay-01", mail["Subject"])
        text = mail.get_body(("plain",)).get_content()
        for word in ["198.51.100.77", "C2", "pay-01", "outbound"]:
            self.assertIn(word, text)
        inbound = rig.until("the page for the late row", lambda: pipeline.events("ThreatConnectionInbound"), 20 * MINUTE)
        self.assertEqual(inbound[0][1]["labels"]["vm"], "pay-02")
        print(f"late row queryable -> page: {time.time() - late:.1f} s", flush=True)

        ended = rig.until(
            "the attack's end",
            lambda: [e for e in pipeline.events("ThreatConnectionOutbound") if e[0] == "resolved"],
            120 * MINUTE,
        )
        # 10 minutes of attack, 15 of window, 30 of keep_firing_for; not before.
        self.assertGreater(time.time() - begins, (9 + 15 + 30 - 2) * MINUTE)
        print(f"last row -> told that it is over: {(time.time() - begins) / MINUTE - 9:.1f} minutes", flush=True)
        self.assertEqual(ended[0][1]["annotations"]["blind"], "", "it is over, and we can see that it is")
        time.sleep(5)
        ended = [e for e in pipeline.events("ThreatConnectionOutbound") if e[0] == "resolved"]
        self.assertEqual(len(ended), 1, "told once")

    def test_a_filling_disk_is_foretold(self):
        # The scenario's disk is cleaned up 65 minutes after the start; it is watched from then on, for a
        # forecast asks whether the disk has been as full before.
        pipeline = self.pipeline("disk-filling", (), 67)
        rig = pipeline.rig
        firing = lambda name: [alert for status, alert in pipeline.events(name) if status == "firing"]
        rig.until("the forecast", lambda: firing("DiskFillsSoon"), 120)
        self.assertEqual(firing("DiskSpaceCritical"), [], "foretold, not told")
        foretold = time.time()
        rig.until("the full disk", lambda: firing("DiskSpaceCritical"), 120)
        print(f"forecast -> full disk: {time.time() - foretold:.0f} simulated minutes", flush=True)

    def test_a_silent_feed_and_a_killed_exporter_are_not_silence(self):
        pipeline = self.pipeline("silent-feed")
        rig = pipeline.rig
        rig.until("ThreatFeedSilent", lambda: pipeline.events("ThreatFeedSilent"), 60)
        rig.until("its mail", lambda: rig.mails(MAILBOX), 10)
        pipeline.exporter.kill()
        rig.until("ExporterDown", lambda: pipeline.events("ExporterDown"), 30)
        time.sleep(10)
        firing = [e for e in pipeline.events("ExporterDown") if e[0] == "firing"]
        self.assertEqual(len(firing), 1, "told once")
        for muted in ["ExporterAbsent", "PollFailing", "DataStale"]:
            self.assertEqual([e for e in pipeline.events(muted) if e[0] == "firing"], [], f"{muted} has the same cause")


if __name__ == "__main__":
    unittest.main(verbosity=2)
