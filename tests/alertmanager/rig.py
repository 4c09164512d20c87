"""A real Alertmanager on deploy/alertmanager/, with sinks in place of the world."""

import datetime
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time
import urllib.request

import sinks

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "alertmanager"


def program(*names):
    """The first of these programs that is installed; it is an error if none is."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise SystemExit(f"not installed: {' or '.join(names)} (Debian: apt-get install prometheus-alertmanager)")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def rewritten(config, secrets, smtp_port, http_port, hurried):
    """The shipped configuration, made local and, if hurried, fast. This is all that differs from what is shipped:

    - if hurried: group_wait 1 s, group_interval 2 s; repeat_interval 1 h, so that no reminder blurs a count
    - mail server, PagerDuty and webhook: the sinks; no TLS to the mail server, which the sink lacks
    - the folder of the secrets
    - the templates' path, since the rewritten file lies elsewhere

    Slack's address is a secret, so the sink's stands in its file.
    """
    sink = f"http://127.0.0.1:{http_port}"
    hurry = [
        (r"group_wait: \w+", "group_wait: 1s"),
        (r"group_interval: \w+", "group_interval: 2s"),
        (r"repeat_interval: \w+", "repeat_interval: 1h"),
    ]
    for pattern, replacement in [
        *(hurry if hurried else []),
        (r"smtp_smarthost: \S+", f"smtp_smarthost: 127.0.0.1:{smtp_port}"),
        (r"smtp_require_tls: true", "smtp_require_tls: false"),
        (r"pagerduty_url: \S+", f"pagerduty_url: {sink}/pagerduty"),
        (r"url: https://tickets\.example\.com\S+", f"url: {sink}/webhook"),
        (r"/etc/alertmanager/secrets", str(secrets)),
        (r"templates/\*\.tmpl", f"{DEPLOY}/templates/*.tmpl"),
    ]:
        config, found = re.subn(pattern, replacement, config)
        assert found, f"alertmanager.yml no longer has {pattern!r}: adapt rewritten()"
    for name, secret in [
        ("smtp_password", "the mail password"),
        ("slack_url", f"{sink}/slack"),
        ("pagerduty_key", "the routing key"),
        ("webhook_token", "the token"),
    ]:
        (secrets / name).write_text(secret + ("\n" if name != "smtp_password" else ""))
    return config


class Rig:
    def __init__(self, folder, hurried=True):
        self.smtp, self.http = sinks.smtp_sink(), sinks.http_sink()
        secrets = folder / "secrets"
        secrets.mkdir()
        config = folder / "alertmanager.yml"
        config.write_text(
            rewritten(
                (DEPLOY / "alertmanager.yml").read_text(),
                secrets,
                self.smtp.server_address[1],
                self.http.server_address[1],
                hurried,
            )
        )
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log_path = folder / "alertmanager.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [
                    program("prometheus-alertmanager", "alertmanager"),
                    f"--config.file={config}",
                    f"--storage.path={folder / 'data'}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                    f"--web.external-url={self.url}",
                    "--cluster.listen-address=",
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "NO_PROXY": "127.0.0.1"},
            )
        self.until("Alertmanager is ready", self.ready)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        for sink in (self.smtp, self.http):
            sink.shutdown()
            sink.server_close()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def ready(self):
        try:
            return self.call("/-/ready") is not None
        except OSError:
            return False

    def call(self, path, body=None):
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=5) as response:
            return response.read()

    def post(self, *alerts):
        self.call("/api/v2/alerts", list(alerts))

    def alerts(self):
        return json.loads(self.call("/api/v2/alerts"))

    def mails(self, recipient, word=""):
        """Mails to this recipient whose subject has this word."""
        return [m for to, m in list(self.smtp.mails) if to == [recipient] and word in m["Subject"]]

    def posts(self, path, word=""):
        return [(h, b) for p, h, b in list(self.http.posts) if p == path and word in json.dumps(b)]

    def until(self, what, condition, seconds=20):
        """Waits for a condition that an event outside of us makes true; returns what it returned."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(0.05)
        raise AssertionError(
            f"not within {seconds} s: {what}\nsubjects: {[m['Subject'] for _, m in self.smtp.mails]}\n{self.log()}"
        )


def alert(labels, annotations=None, began=None, ended=None):
    """An alert as Prometheus posts it: it began now, unless said (RFC 3339), and fires until tomorrow, or has ended.

    Alertmanager does not wait for company for an alert that began longer than group_wait ago. So alerts
    that a test wants in one message begin now.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "labels": labels,
        "annotations": annotations or {},
        "startsAt": began or now.isoformat(),
        "endsAt": ended or (now + datetime.timedelta(days=1)).isoformat(),
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=up",
    }


def shortly():
    """A moment after that of every alert that begins now."""
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=30)).isoformat()
