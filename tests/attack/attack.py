"""Lets a botnet connect, all of it in one minute, and watches the exporter count it.

    VMINSIGHTS_EXPORTER=target/release/vminsights-exporter python3 tests/attack/attack.py [ADDRESSES [INTERVAL]]

20,000 addresses and an interval of 3 s unless told otherwise, which takes half a minute; `200000 60` is the whole attack
on the pack as it is, and then waits until its series have expired and a second one has come. The exporter runs the queries
of pack threats. Fails unless what the counters grew by, over live, expired and overflow series, is what arrived; the page
stays within max_series; memory stays flat; and no poll fails or takes longer than its interval.
"""

import datetime
import ipaddress
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = os.path.abspath(os.environ["VMINSIGHTS_EXPORTER"])
QUERIES = ("threat_connections", "threat_counters", "threat_indicators")
MAX_SERIES = 10_000
COUNTERS = {
    "vminsights_threat_connection_records_total": lambda row: 1,
    "vminsights_threat_links_established_total": lambda row: row["LinksEstablished"],
    "vminsights_threat_sent_bytes_total": lambda row: row["BytesSent"],
    "vminsights_threat_received_bytes_total": lambda row: row["BytesReceived"],
}


def rows(first_address, count, arrive, within):
    """One row an address, arriving one after the other within so many seconds."""
    for number in range(count):
        arrives = arrive + datetime.timedelta(seconds=within * number / count)
        vm = f"web-{number % 20}"
        yield {
            "TimeGenerated": (arrives - datetime.timedelta(minutes=2 + number % 30)).isoformat(),
            "_IngestionTime": arrives.isoformat(),
            "Computer": vm,
            "_ResourceId": f"/subscriptions/s/resourcegroups/g/providers/microsoft.compute/virtualmachines/{vm}",
            "RemoteIp": str(ipaddress.IPv4Address(first_address + number)),
            "IndicatorThreatType": "Botnet",
            "Direction": "inbound",
            "Severity": number % 6,
            "Confidence": str(number % 101),
            "LinksEstablished": number % 3,
            "BytesSent": number % 1000,
            "BytesReceived": number % 700,
        }


def configure(folder, access, interval, expire):
    (folder / "secret").write_text(access["client_secret"])
    (folder / "queries").mkdir()
    for name in QUERIES:
        pack = ROOT / "src/catalogue/packs/threats" / name
        (folder / f"queries/{name}.kql").write_text(pack.with_suffix(".kql").read_text())
        text = pack.with_suffix(".yaml").read_text().replace("interval: 1m", f"interval: {interval}s")
        if name == "threat_counters" and expire:
            text = text.replace("lookback: 30m", "lookback: 2m\nexpire_after: 2m")
        (folder / f"queries/{name}.yaml").write_text(text)
    (folder / "exporter.yaml").write_text(
        f"""azure:
  cloud: {{logs: '{access["endpoint"]}', authority: '{access["authority"]}', audience: '{access["audience"]}'}}
  credential: {{client_secret: {{tenant_id: {access["tenant_id"]}, client_id: {access["client_id"]}, secret_file: secret}}}}
  ca_file: ca.pem
workspaces: [{{id: {access["workspace_id"]}, name: prod}}]
packs: []
queries_dir: queries
state: {{path: state}}
"""
    )


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def memory(pid, what="VmRSS"):
    """MiB"""
    return int(re.search(rf"{what}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Watch:
    def __init__(self, url, pid):
        self.url, self.pid = url, pid
        self.last, self.grown = {}, dict.fromkeys(COUNTERS, 0)
        self.page_bytes, self.most_series, self.scrape, self.resident, self.problems = 0, 0, 0.0, [], []
        self.others = {}

    def look(self):
        began = time.monotonic()
        try:
            with urllib.request.urlopen(self.url, timeout=30) as answer:
                page = answer.read().decode()
        except OSError:
            return
        self.scrape = max(self.scrape, time.monotonic() - began)
        self.page_bytes = max(self.page_bytes, len(page))
        self.resident.append((time.monotonic(), memory(self.pid)))
        now, series = {}, {}
        for line in page.splitlines():
            if line.startswith("#"):
                continue
            name, value = line.rsplit(" ", 1)
            family = name.partition("{")[0]
            series[family] = series.get(family, 0) + 1
            if family in COUNTERS:
                now[name] = float(value)
                before = self.last.get(name, 0)
                if now[name] < before:
                    self.problems.append(f"{name} fell from {before} to {now[name]}")
                self.grown[family] += now[name] - before
            elif family.startswith("vminsights_exporter_"):
                self.others[name] = float(value)
        # One that has left and comes again begins at 0.
        self.last = now
        threats = {family: count for family, count in series.items() if family.startswith("vminsights_threat_")}
        self.most_series = max(self.most_series, *threats.values(), 0) if threats else self.most_series
        for family, count in threats.items():
            if count > MAX_SERIES + 1:
                self.problems.append(f"{family} has {count} series")

    def until(self, what, condition, seconds):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.problems.append(f"not within {seconds:.0f} s: {what}; grown by {self.grown}")
                return
            time.sleep(0.5)
            self.look()

    def other(self, family, query):
        return self.others.get(f'{family}{{query="{query}",workspace="prod"}}', 0)


def attack(addresses, interval, folder, running):
    expire = addresses >= 100_000
    began = datetime.datetime.now(datetime.timezone.utc)
    wave = began + datetime.timedelta(seconds=8 + 3 * interval)
    old = list(rows(int(ipaddress.IPv4Address("203.0.113.0")), 50, began - datetime.timedelta(minutes=3), 60))
    waves = [
        list(rows(int(ipaddress.IPv4Address("100.64.0.0")), addresses, wave, min(interval, 40))),
        # The first ones again, and some that are new, much later.
        list(rows(int(ipaddress.IPv4Address("100.64.0.0")) - 500, 1500, wave + datetime.timedelta(seconds=4 * interval), 1)),
    ]
    if expire:
        # When the first have expired, others take their places.
        late = wave + datetime.timedelta(seconds=12 * interval)
        waves.append(list(rows(int(ipaddress.IPv4Address("198.18.0.0")), addresses // 4, late, 20)))
    (folder / "data").mkdir()
    with (folder / "data/VMConnection.ndjson").open("w") as file:
        for row in old + sum(waves, []):
            file.write(json.dumps(row) + "\n")
    workspace = subprocess.Popen(
        [PROGRAM, "workspace", "--web.listen-address=127.0.0.1:0", "--ca-file=ca.pem", "--data=data"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    running.append(workspace)
    configure(folder, json.loads(workspace.stdout.readline()), interval, expire)
    port = free_port()
    with (folder / "log").open("w") as stderr:
        exporter = subprocess.Popen(
            [PROGRAM, "serve", "--config.file=exporter.yaml", f"--web.listen-address=127.0.0.1:{port}"],
            cwd=folder, stderr=stderr,
        )
    running.append(exporter)
    watch = Watch(f"http://127.0.0.1:{port}/metrics", exporter.pid)
    name = 'vminsights_exporter_poll_last_success_timestamp_seconds'
    watch.until("each query's first answer", lambda: all(watch.other(name, query) for query in QUERIES), 10 + 2 * interval)
    quiet = memory(exporter.pid)
    if datetime.datetime.now(datetime.timezone.utc) > wave:
        watch.problems.append("the baseline came too late: the attack was in it")
    truth = dict.fromkeys(COUNTERS, 0)
    marks = []
    for number, arrived in enumerate(waves, 1):
        for family, of in COUNTERS.items():
            truth[family] += sum(map(of, arrived))
        ends = datetime.datetime.fromisoformat(arrived[-1]["_IngestionTime"])
        left = (ends - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
        watch.until(f"wave {number} is {truth}", lambda: watch.grown == truth, max(left, 0) + 20 + 4 * interval)
        marks.append(memory(exporter.pid))
    # Nothing is counted any more, however often it is asked for.
    watch.until("two polls more", (lambda until: lambda: time.monotonic() > until)(time.monotonic() + 2 * interval + 1), 3 * interval + 10)
    if watch.grown != truth:
        watch.problems.append(f"counted {watch.grown}, not {truth}")
    for query in QUERIES:
        failures = sum(value for name, value in watch.others.items()
                       if name.startswith(f'vminsights_exporter_poll_failures_total{{query="{query}"'))
        took = watch.other("vminsights_exporter_poll_duration_seconds", query)
        if failures:
            watch.problems.append(f"{query}: {failures:.0f} polls failed")
        if took > interval:
            watch.problems.append(f"{query}: a poll took {took:.1f} s")
        print(f"  {query}: last poll took {took:.2f} s")
    if addresses > MAX_SERIES and not any('remote_ip="overflow"' in name and value for name, value in watch.last.items()):
        watch.problems.append("nothing is in the overflow series")
    peak, end = memory(exporter.pid, "VmHWM"), memory(exporter.pid)
    if end > 1.25 * marks[0] + 16:
        watch.problems.append(f"memory grows: {marks[0]:.0f} MiB after the first wave, {end:.0f} MiB at last")
    state = (folder / "state/ledger.redb").stat().st_size / 2**20
    print(f"{addresses} addresses: {truth['vminsights_threat_connection_records_total']} records, each counted once; "
          f"a family has at most {watch.most_series} series; page {watch.page_bytes / 2**20:.1f} MiB, slowest scrape {watch.scrape:.2f} s; "
          f"memory {quiet:.0f} MiB before, {marks[0]:.0f} after, {end:.0f} at last, {peak:.0f} at most; state {state:.1f} MiB")
    watch.problems += [line for line in (folder / "log").read_text().splitlines() if "panicked" in line]
    return watch.problems


def main():
    addresses = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    interval = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    running = []
    with tempfile.TemporaryDirectory() as name:
        try:
            problems = attack(addresses, interval, pathlib.Path(name), running)
            problems += [f"program {child.args[1]} ended with {child.returncode}" for child in running if child.poll() is not None]
            if problems:
                print((pathlib.Path(name) / "log").read_text()[-3000:], file=sys.stderr)
        finally:
            for child in running:
                child.terminate()
                child.wait()
    for problem in problems[:20]:
        print(f"attack.py: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
