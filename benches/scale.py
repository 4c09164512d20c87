"""How the exporter stands many workspaces, and a workspace many VMs; both against the simulated workspace.

    VMINSIGHTS_EXPORTER=target/release/vminsights-exporter python3 benches/scale.py workspaces [SECONDS]
    VMINSIGHTS_EXPORTER=target/release/vminsights-exporter python3 benches/scale.py fleet [VMS]

`workspaces`: 200 workspaces of 8 pack queries each, every five minutes, under Azure's limits. Fails if a value is older
than `check` let expect, a request was throttled, or memory grows. 900 seconds unless told otherwise.

`fleet`: rows and bytes of each pack query's answer for one workspace of 10,000 VMs. Fails beyond Azure's limits.

Needs openssl and nothing else.
"""

import gzip
import http.client
import http.server
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
import uuid

PROGRAM = os.path.abspath(os.environ["VMINSIGHTS_EXPORTER"])
PACKS = pathlib.Path(__file__).parent.parent / "src/catalogue/packs"
WORKSPACES = 200
QUERIES = ["cpu", "memory", "logical_disks", "disk_activity", "network", "heartbeat", "threat_connections", "table_freshness"]
INTERVAL = 300
# Until then it is the start, which is told apart: a poll's second run comes up to one and a half intervals after it.
SPREAD = 1.5 * INTERVAL + 30
# What `check` is told that a query takes. The simulated workspace is quicker.
QUERY_SECONDS = 0.5
# Azure's: rows of an answer, bytes compressed, bytes before.
MOST_ROWS, MOST_COMPRESSED, MOST_BYTES = 500_000, 64 * 2**20, 100 * 2**20

# What the exporter puts in front of queries that name them; here they leave nothing out.
FILTERS = (
    "let min_severity = 0; let min_confidence_percent = 0; "
    "let is_allowed_address = (address: string) { false }; let is_excluded_disk = (disk: string) { false };\n"
)


class Simulated:
    """A simulated workspace, without TLS."""

    def __init__(self, *options):
        self.child = subprocess.Popen(
            [PROGRAM, "workspace", "--web.listen-address=127.0.0.1:0", "--no-tls", *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        self.access = json.loads(self.child.stdout.readline())

    def token(self):
        access = self.access
        form = {"grant_type": "client_credentials", "scope": access["audience"] + "/.default"}
        form |= {name: access[name] for name in ("client_id", "client_secret")}
        address = f"{access['authority']}/{access['tenant_id']}/oauth2/v2.0/token"
        with urllib.request.urlopen(address, urllib.parse.urlencode(form).encode()) as answer:
            return json.load(answer)["access_token"]

    def stop(self):
        self.child.terminate()
        self.child.wait()


class Door(http.server.BaseHTTPRequestHandler):
    """TLS, and many workspaces' ids, in front of the one simulated workspace."""

    protocol_version = "HTTP/1.1"
    access, statuses, lock = None, {}, threading.Lock()

    def setup(self):
        self.request.do_handshake()
        super().setup()

    def handle(self):
        try:
            super().handle()
        except ssl.SSLEOFError:
            pass  # The exporter closes idle connections without a word.

    def do_POST(self):
        behind = http.client.HTTPConnection(urllib.parse.urlsplit(self.access["endpoint"]).netloc)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = re.sub(r"/workspaces/[^/]+/", f"/workspaces/{self.access['workspace_id']}/", self.path)
        behind.request("POST", path, body, {k: v for k, v in self.headers.items() if k.lower() != "host"})
        answer = behind.getresponse()
        body = answer.read()
        behind.close()
        if path.endswith("/query"):
            with self.lock:
                self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def certificate(folder):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=scale", "-days", "2")
    openssl("req", *key, "-keyout", "door.key", "-out", "door.csr", "-subj", "/CN=door")
    (folder / "door.cnf").write_text("subjectAltName = IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "door.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "door.pem", "-days", "2", "-extfile", "door.cnf")


def open_door(folder, access):
    certificate(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "door.pem", folder / "door.key")
    Door.access = access
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"https://127.0.0.1:{server.server_port}"


def configure(folder, access, address):
    (folder / "secret").write_text(access["client_secret"])
    (folder / "queries").mkdir()
    for name in QUERIES:
        (yaml,) = PACKS.glob(f"*/{name}.yaml")
        text = re.sub(r"^interval:.*\n", "", yaml.read_text(), flags=re.M)
        (folder / f"queries/{name}.yaml").write_text(f"interval: {INTERVAL}s\n{text}")
        (folder / f"queries/{name}.kql").write_text(yaml.with_suffix(".kql").read_text())
    workspaces = "".join(f"  - {{id: {uuid.UUID(int=n + 1)}, name: w{n:03}}}\n" for n in range(WORKSPACES))
    (folder / "exporter.yaml").write_text(
        f"""azure:
  cloud: {{logs: '{address}', authority: '{address}', audience: '{access["audience"]}'}}
  credential: {{client_secret: {{tenant_id: {access["tenant_id"]}, client_id: {access["client_id"]}, secret_file: secret}}}}
  ca_file: ca.pem
packs: []
queries_dir: queries
workspaces:
{workspaces}"""
    )


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def samples(page):
    """{(name, labels): value}"""
    lines = (line.rsplit(" ", 1) for line in page.splitlines() if line and not line.startswith("#"))
    return {tuple(series.partition("{")[::2]): float(value) for series, value in lines}


def watch(seconds, url):
    """How old the oldest answer gets while the polls spread, and once they have; and the memory."""
    starting, oldest, memory, last = [0], [], [], {}
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        time.sleep(5)
        with urllib.request.urlopen(url, timeout=60) as answer:
            last = samples(answer.read().decode())
        now = time.time()
        answers = [v for (name, _), v in last.items() if name == "vminsights_exporter_poll_last_success_timestamp_seconds"]
        if time.monotonic() - started < SPREAD:
            starting.append(now - min(answers, default=now))
            continue
        oldest.append(now - min(answers) if len(answers) == WORKSPACES * len(QUERIES) else float("inf"))
        memory.append(last[("process_resident_memory_bytes", "")] / 2**20)
    return max(starting), oldest, memory, last


def workspaces(seconds=900):
    problems = []
    simulated = Simulated("--limits", "--vms=10")
    exporter = None
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        try:
            configure(folder, simulated.access, open_door(folder, simulated.access))
            config = "--config.file=exporter.yaml"
            check = subprocess.run([PROGRAM, "check", config, f"--query-seconds={QUERY_SECONDS}"],
                                   cwd=folder, check=True, capture_output=True, text=True)
            print(check.stdout.strip())
            port = free_port()
            with (folder / "log").open("w") as log:
                exporter = subprocess.Popen([PROGRAM, "serve", config, f"--web.listen-address=127.0.0.1:{port}"],
                                            cwd=folder, stderr=log)
            time.sleep(2)
            starting, oldest, memory, last = watch(seconds, f"http://127.0.0.1:{port}/metrics")
            usage = os.sysconf("SC_CLK_TCK")
            stat = pathlib.Path(f"/proc/{exporter.pid}/stat").read_text().rsplit(")", 1)[1].split()
            cpu = (int(stat[11]) + int(stat[12])) / usage
        finally:
            for child in (exporter, simulated.child):
                if child:
                    child.terminate()
                    child.wait()
    total = lambda name: sum(value for (series, _), value in last.items() if series == name)
    failures = total("vminsights_exporter_poll_failures_total")
    half = len(memory) // 2
    print(f"{seconds} s: {total('vminsights_exporter_polls_total'):.0f} polls, {failures:.0f} failed; "
          f"answers by status {dict(sorted(Door.statuses.items()))}; oldest answer {max(oldest):.0f} s "
          f"({starting:.0f} s in the first {SPREAD:.0f} s), interval {INTERVAL} s; {len(last)} samples on the page; CPU {cpu:.0f} s; "
          f"memory at most {max(memory[:half]):.1f} MiB in the first half and {max(memory[half:]):.1f} MiB in the second")
    waited = total("vminsights_exporter_budget_wait_seconds_total")
    print(f"waiting for a place: {waited:.0f} s in all")
    # A place in the queue and the answer take their time, too.
    if max(oldest) > INTERVAL + 10:
        problems.append("a value is older than its interval")
    if failures or Door.statuses.get(429):
        problems.append("something failed")
    if max(memory[half:]) > 1.1 * max(memory[:half]) + 4:
        problems.append("memory grows")
    return problems


def fleet(vms=10_000):
    problems = []
    # Map and flow logs are on, too; a large fleet starts with some minutes, so wait for whole windows.
    simulated = Simulated(f"--vms={vms}")
    try:
        token = simulated.token()
        print("| query | window | rows | MB | MB, gzip | s |\n|---|---|---|---|---|---|")
        for yaml in sorted(PACKS.glob("*/*.yaml")):
            text = yaml.read_text()
            window = re.search(r"^window: (\w+)", text, re.M)
            lookback = re.search(r"^lookback: (\w+)", text, re.M)
            line = f"let window = {window[1]};\n" if window else ""
            if lookback:
                line = f"let lookback = {lookback[1]}; let until = now() + 1d;\n"
            line = FILTERS + line
            started = time.monotonic()
            request = urllib.request.Request(
                f"{simulated.access['endpoint']}/v1/workspaces/{simulated.access['workspace_id']}/query",
                json.dumps({"query": line + yaml.with_suffix(".kql").read_text()}).encode(),
                {"Authorization": "Bearer " + token, "Content-Type": "application/json", "Prefer": "wait=600"},
            )
            with urllib.request.urlopen(request, timeout=600) as answer:
                body = answer.read()
            took = time.monotonic() - started
            table = json.loads(body)["tables"][0]
            rows, compressed = len(table["rows"]), len(gzip.compress(body, 6))
            print(f"| `{yaml.stem}` | {(window or lookback or ['', '–'])[1]} | {rows:,} | {len(body) / 1e6:.1f} | {compressed / 1e6:.2f} | {took:.1f} |", flush=True)
            if rows > MOST_ROWS or len(body) > MOST_BYTES or compressed > MOST_COMPRESSED:
                problems.append(f"{yaml.stem} is beyond Azure's limits")
    finally:
        simulated.stop()
    return problems


if __name__ == "__main__":
    what = {"workspaces": workspaces, "fleet": fleet}[sys.argv[1]]
    found = what(*map(int, sys.argv[2:]))
    for problem in found:
        print(f"scale.py: {problem}", file=sys.stderr)
    sys.exit(1 if found else 0)
