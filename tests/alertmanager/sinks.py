"""Where a test's messages end: an SMTP server and an HTTP server on free loopback ports.

Both keep what they got and answer "well received". Standard library only.
"""

import base64
import email
import email.policy
import http.server
import json
import socketserver
import threading


class _SmtpSession(socketserver.StreamRequestHandler):
    def handle(self):
        recipients, say = [], lambda line: self.wfile.write(line.encode() + b"\r\n")
        say("220 sink")
        while line := self.rfile.readline().decode("utf-8", "replace").strip():
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                self.wfile.write(b"250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n")
            elif verb == "AUTH":
                self.server.logins.append(base64.b64decode(line.split(" ")[2]).decode().split("\0"))
                say("235 signed in")
            elif verb == "RCPT":
                recipients.append(line.split("<")[1].split(">")[0])
                say("250 ok")
            elif verb == "DATA":
                say("354 go on")
                lines = []
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(part[1:] if part.startswith(b"..") else part)
                message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
                self.server.mails.append((recipients, message))
                recipients = []
                say("250 kept")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


class _HttpRequest(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.posts.append((self.path, dict(self.headers), json.loads(body)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def _start(server):
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def smtp_sink():
    """A server with `.mails` [(recipients, EmailMessage)] and `.logins` [[identity, user, password]]."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _SmtpSession)
    server.mails, server.logins = [], []
    return _start(server)


def http_sink():
    """A server with `.posts` [(path, headers, JSON body)]."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _HttpRequest)
    server.posts = []
    return _start(server)
