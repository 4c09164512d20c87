"""No file in deploy/ holds a secret: no key, no password, no token, no id of a real tenant."""
import re
from pathlib import Path

NIL = "00000000-0000-0000-0000-000000000000"
# Built-in roles have the same id in every tenant.
PUBLIC_IDS = {NIL, "73c42c96-874c-492b-b04d-ab87d138a893"}
PATTERNS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a client secret of Entra": r"\b[\w~.-]{3}[78]Q~[\w~.-]{31,34}",
    "a bearer token": r"\beyJ[\w-]{10,}\.[\w-]{10,}",
    "a key of an Azure account": r"\b[A-Za-z0-9+/]{86}==",
    "a password or token in plain": r"(?i)\b\w*(?:password|passwd|client_secret|api_key|access_key|token)[\"']?[ \t]*[:=][ \t]*[\"']?(?![\"'{$\s]|/)[\w~.+/-]{8,}",
    "a password in an address": r"\w+://[^/\s:@]+:[^/\s@]+@",
}


def findings(text):
    for what, pattern in PATTERNS.items():
        for found in re.finditer(pattern, text):
            yield what, text.count("\n", 0, found.start()) + 1
    for found in re.finditer(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", text, re.I):
        if found[0].lower() not in PUBLIC_IDS:
            yield "an id of somebody's", text.count("\n", 0, found.start()) + 1


# The check must be able to find each kind.
for what, sample in {
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a client secret of Entra": "abc8Q~" + "x" * 34,
    "a bearer token": "eyJ" + "a" * 20 + "." + "b" * 20,
    "a key of an Azure account": "A" * 86 + "==",
    "a password or token in plain": "smtp_auth_password: " + "hunter2hunter2",
    "a password in an address": "http://me:word@proxy",
    "an id of somebody's": "972759b1-d968-4257-93af-6577027baf59",
}.items():
    if what not in {kind for kind, _ in findings(sample)}:
        raise SystemExit(f"judge_secrets.py: does not find {what}")

files = [file for file in sorted(Path("deploy").rglob("*")) if file.is_file() and "__pycache__" not in file.parts]
bad = [f"{file}:{line}: {what}" for file in files for what, line in findings(file.read_text())]
if bad:
    raise SystemExit("judge_secrets.py: looks like a secret:\n  " + "\n  ".join(bad))
print(f"secrets: none in {len(files)} files")
