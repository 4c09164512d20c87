"""Lets the exporter poll a workspace in which much goes wrong, and watches it.

    VMINSIGHTS_EXPORTER=target/release/vminsights-exporter python3 tests/soak/soak.py [SECONDS]

40 seconds unless told otherwise; half an hour (1800) is a soak. Fails if the log tells of a panic, a value is not the
true one, a query stands still (no poll ends within 45 s), nothing goes wrong, or memory grows.
"""

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

PROGRAM = os.path.abspath(os.environ["VMINSIGHTS_EXPORTER"])
# By query: what is asked, and the truth.
QUERIES = {
    "seven": ("print n = 7", 7),
    "sum": ("range x from 1 to 100 step 1 | summarize n = sum(x)", 5050),
    "many": ("range x from 1 to 20000 step 1 | summarize n = count()", 20000),
    "nothing": ("print n = 0", 0),
}
ANSWERS = ["drop", "cut", "broken_json", "empty", "no_content", "partial", "column_type", "expired_token"]
FAULTS = "seed: 7\nrules:\n" + "".join(
    [f"  - {{on: query, probability: 0.05, answer: {answer}}}\n" for answer in ANSWERS]
    + [f"  - {{on: query, probability: 0.03, status: {status}}}\n" for status in (400, 403, 404, 500, 503, 504)]
    + [
        "  - {on: query, probability: 0.03, status: 429, retry_after: 1}\n",
        "  - {on: query, probability: 0.03, answer: silence}\n",
        "  - {on: query, probability: 0.05, delay: 1500ms}\n",
        "  - {on: token, probability: 0.3, status: 503}\n",
    ]
)
STUCK = 45


def configure(folder, access):
    (folder / "secret").write_text(access["client_secret"])
    (folder / "queries").mkdir()
    for name, (kql, _) in QUERIES.items():
        (folder / f"queries/{name}.kql").write_text(kql)
        (folder / f"queries/{name}.yaml").write_text(
            f"interval: 1s\ntimeout: 2s\nmetrics: [{{name: x_{name}, type: gauge, help: Soak., value: n}}]\n"
        )
    (folder / "exporter.yaml").write_text(
        f"""azure:
  cloud: {{logs: '{access["endpoint"]}', authority: '{access["authority"]}', audience: '{access["audience"]}'}}
  credential: {{client_secret: {{tenant_id: {access["tenant_id"]}, client_id: {access["client_id"]}, secret_file: secret}}}}
  ca_file: ca.pem
  requests_per_30s: 1000
workspaces: [{{id: {access["workspace_id"]}, name: soak}}]
packs: []
queries_dir: queries
"""
    )


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def samples(page):
    """{series: value}"""
    lines = (line.rsplit(" ", 1) for line in page.splitlines() if line and not line.startswith("#"))
    return {series: float(value) for series, value in lines}


def watch(seconds, url, log):
    problems, resident, ended, seen = [], [], {}, {name: 0 for name in QUERIES}
    longest = 0
    started = time.monotonic()
    last = {}
    while time.monotonic() - started < seconds:
        time.sleep(0.5)
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                last = samples(answer.read().decode())
        except OSError as error:
            if time.monotonic() - started > 10:
                problems.append(f"the page does not come: {error}")
            continue
        now = time.monotonic()
        resident.append(last["process_resident_memory_bytes"] / 2**20)
        for name, (_, truth) in QUERIES.items():
            value = last.get(f'x_{name}{{workspace="soak"}}')
            if value is not None:
                seen[name] += 1
                if value != truth:
                    problems.append(f"x_{name} is {value}, not {truth}")
            polls = last.get(f'vminsights_exporter_polls_total{{query="{name}",workspace="soak"}}', 0)
            before, since = ended.get(name, (None, now))
            longest = max(longest, now - since)
            if polls != before:
                ended[name] = (polls, now)
            elif now - since > STUCK:
                problems.append(f"{name} stands still at {polls:.0f} polls")
                ended[name] = (polls, now)
    problems += [f"{name} never had a value" for name, pages in seen.items() if not pages]
    problems += [line for line in log.read_text().splitlines() if "panicked" in line]
    failures = sum(value for series, value in last.items() if "poll_failures_total" in series)
    if not failures:
        problems.append("nothing went wrong")
    half = len(resident) // 2
    if half and max(resident[half:]) > 1.25 * max(resident[:half]) + 4:
        problems.append(f"memory grows: {max(resident[:half]):.0f} MiB, then {max(resident[half:]):.0f} MiB")
    polls = sum(polls for polls, _ in ended.values())
    reasons = sorted(set(re.findall(r'reason="(\w+)"', " ".join(s for s, v in last.items() if v and "poll_failures" in s))))
    print(f"{seconds} s: {polls:.0f} polls, {failures:.0f} failed ({', '.join(reasons)}), "
          f"{sum(seen.values())} values compared, at most {longest:.0f} s without a poll, "
          f"memory at most {max(resident[:half] or [0]):.1f} MiB in the first half and {max(resident[half:] or [0]):.1f} MiB in the second")
    return problems


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "faults.yaml").write_text(FAULTS)
        running = []
        try:
            workspace = subprocess.Popen(
                [PROGRAM, "workspace", "--web.listen-address=127.0.0.1:0", "--vms=1", "--ca-file=ca.pem", "--faults=faults.yaml"],
                cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )
            running.append(workspace)
            configure(folder, json.loads(workspace.stdout.readline()))
            port, log = free_port(), folder / "log"
            with log.open("w") as stderr:
                running.append(subprocess.Popen(
                    [PROGRAM, "serve", "--config.file=exporter.yaml", f"--web.listen-address=127.0.0.1:{port}"],
                    cwd=folder, stderr=stderr,
                ))
            problems = watch(seconds, f"http://127.0.0.1:{port}/metrics", log)
            problems += [f"program {child.args[1]} ended with {child.returncode}" for child in running if child.poll() is not None]
        finally:
            for child in running:
                child.terminate()
                child.wait()
    for problem in problems[:20]:
        print(f"soak.py: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
