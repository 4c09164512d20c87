"""Every alert has what a person paged needs, a runbook and a test; every metric that a rule names exists."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yaml"))
RUNBOOKS = {file.stem for file in (ROOT / "docs/runbooks").glob("*.md")} - {"README"}
TESTS = "".join(file.read_text() for file in (ROOT / "tests/rules").glob("*.yaml"))
METRICS = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/metrics.md").read_text(), re.M))

# Alerts whose rule tests are still to be written. An alert that has one must leave this list.
UNTESTED = {
    "DataStale", "DiskDown", "DiskFillsSoon", "DiskSpaceCritical", "DiskSpaceLow", "ExporterAbsent", "ExporterDown",
    "IngestionSlow", "PartialResults", "PollFailing", "SeriesOverflow", "SignInFailing", "Throttled",
}

problems = []
alerts = set()
recorded = set()
for file in RULES:
    text = file.read_text()
    recorded |= set(re.findall(r"- record: (\S+)", text))
    for alert in re.split(r"(?m)^\s+- alert: ", text)[1:]:
        alert = re.split(r"(?m)^\s+- (?:record|name): ", alert)[0]
        name = alert.split()[0]
        alerts.add(name)
        # A second rule of the same alert may share the first one's annotations by a YAML alias.
        wanted = ["severity:"] + ([] if re.search(r"annotations: \*", alert) else ["summary:", "description:", "runbook_url:"])
        problems += [f"{file.name}: alert {name} has no {key[:-1]}" for key in wanted if key not in alert]
        if "runbook_url:" in alert and f"/{name}.md" not in alert:
            problems.append(f"{file.name}: alert {name} links another runbook")
        if not re.search(r"severity: (critical|warning|info)\b", alert):
            problems.append(f"{file.name}: alert {name} has a severity that no route knows")
assert len(alerts) >= 20 and METRICS, "nothing was read: the files have another form"

for file in RULES:
    code = re.sub(r"(?m)^\s*#.*$", "", file.read_text())
    for name in set(re.findall(r"(?<![\w:])vminsights_\w+(?![\w:])", code)):
        if name not in METRICS:
            problems.append(f"{file.name} names {name}, which docs/metrics.md does not have")
    for name in set(re.findall(r"(?<![\w:])\w+:vminsights_\w+:\w+", code)):
        if name not in recorded:
            problems.append(f"{file.name} names {name}, which no rule records")
problems += [f"alert {name} has no docs/runbooks/{name}.md" for name in sorted(alerts - RUNBOOKS)]
problems += [f"docs/runbooks/{name}.md is of no alert" for name in sorted(RUNBOOKS - alerts)]
untested = {name for name in alerts if f"alertname: {name}" not in TESTS}
problems += [f"alert {name} has no test" for name in sorted(untested - UNTESTED)]
problems += [f"alert {name} is tested, or gone: take it off UNTESTED" for name in sorted(UNTESTED - untested)]
for file in list((ROOT / "docs/runbooks").glob("*.md")) + [ROOT / "docs/azure-alert-parity.md"]:
    for name in set(re.findall(r"(?<![\w:])vminsights_\w+(?![\w:])", file.read_text())):
        if name not in METRICS:
            problems.append(f"{file.name} names {name}, which docs/metrics.md does not have")
if problems:
    raise SystemExit("\n".join(problems))
print(f"{len(alerts)} alerts have severity, texts and runbook; {len(alerts - untested)} have tests")
