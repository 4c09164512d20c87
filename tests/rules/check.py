"""What promtool cannot check: that every alert is complete, tested, has a runbook and a dashboard, and every metric
exists.

Reads the rule files line by line, as they are laid out here, so that no YAML library is needed: a rule begins
with `- alert:` or `- record:`, its labels and annotations are blocks or YAML aliases of earlier blocks, and so is
the text of one annotation.
"""

import json
import re
import sys
from pathlib import Path

RULES = Path("deploy/prometheus/rules")
TESTS = Path("tests/rules")
RUNBOOKS = Path("docs/runbooks")
DASHBOARDS = Path("dashboards")
README = Path("deploy/prometheus/README.md")
RUNBOOK_URL = "https://vminsights-exporter.example/runbooks/{}.md"
DASHBOARD_URL = re.compile(r"https://grafana\.example/d/([\w-]+)(?:\?(.+))?")
# What a runbook begins its section "Look" with: the dashboard and its panels.
RUNBOOK_LOOK = re.compile(r"^## Look\n\nGrafana, \*\*(.+)\*\*: (.+)\.\n", re.MULTILINE)
# A label goes in through urlquery, under its own name; or the value is a plain word.
VARIABLE = re.compile(r"var-(\w+)=(?:\{\{ \$labels\.\1 \| urlquery \}\}|\w+)")
SEVERITIES = {"critical", "warning", "info"}
# A name in PromQL or in a template; `blind: &blind` and words in comments have neither prefix nor colon.
NAME = re.compile(r"(?<![\w:])(?:[a-z_0-9]+:)?vminsights_\w+(?::\w+)?")

problems = []


def problem(where, what):
    problems.append(f"{where}: {what}")


class Rule:
    def __init__(self, kind, name, where):
        self.kind, self.name, self.where = kind, name, where
        self.labels, self.annotations = {}, {}


def read_rules(path):
    """The rules of a file, with labels and annotations as {key: text}."""
    rules, anchors, block, key = [], {}, None, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if re.match(r"\s*#", line):
            continue
        if match := re.match(r"      - (alert|record): (\S+)$", line):
            rules.append(Rule(match[1], match[2], f"{path}:{number}"))
            block = key = None
        elif match := re.match(r"        (\w+):(?: ([&*])(\w+))?(.*)$", line):
            block = key = None
            if match[1] in ("labels", "annotations"):
                block = getattr(rules[-1], match[1])
                if match[2] == "&":
                    anchors[match[3]] = block
                elif match[2] == "*":
                    block.update(anchors[match[3]])
        elif block is not None and (match := re.match(r"          (\w+): (.*)$", line)):
            key, text = match[1], match[2]
            if alias := re.fullmatch(r"\*(\w+)", text):
                owner, of = anchors[alias[1]]
                text = owner[of]
            elif anchor := re.match(r"&(\w+) ", text):
                anchors[anchor[1]] = block, key
                text = text[anchor.end() :]
            block[key] = text
        elif key and line.startswith(" " * 12):
            block[key] += line
    return rules


def read_dashboards():
    """{uid: dashboard}"""
    dashboards = (json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json")))
    return {dashboard["uid"]: dashboard for dashboard in dashboards}


def panel_titles(panels):
    """As a runbook names them: the panel "Free space of $disk" is "Free space"."""
    for panel in panels:
        yield panel.get("title", "").removesuffix(" of $disk")
        yield from panel_titles(panel.get("panels", []))


def check_dashboard_url(rule, dashboards):
    url = rule.annotations.get("dashboard_url", "")
    match = DASHBOARD_URL.fullmatch(url)
    if not match:
        problem(rule.where, f"{rule.name} needs the annotation dashboard_url, https://grafana.example/d/UID?var-…")
        return
    uid, query = match.groups()
    if uid not in dashboards:
        problem(rule.where, f"the dashboard_url of {rule.name} names {uid}, which no file in {DASHBOARDS} has as its uid")
        return
    named = []
    for part in query.split("&") if query else []:
        if variable := VARIABLE.fullmatch(part):
            named.append(variable[1])
        else:
            problem(rule.where, f"the dashboard_url of {rule.name} has {part}; write var-NAME={{{{ $labels.NAME | urlquery }}}}")
    for name in named:
        if name not in {variable["name"] for variable in dashboards[uid]["templating"]["list"]}:
            problem(rule.where, f"the dashboard_url of {rule.name} sets {name}, which is no variable of {uid}")
    if len(set(named)) < len(named):
        problem(rule.where, f"the dashboard_url of {rule.name} sets a variable twice")
    check_runbook_look(rule.name, dashboards[uid])


def check_runbook_look(name, dashboard):
    """The runbook names the dashboard that the alert links to, and panels that are there."""
    runbook = RUNBOOKS / f"{name}.md"
    if not runbook.is_file():
        return
    look = RUNBOOK_LOOK.search(runbook.read_text())
    if not look or look[1] != dashboard["title"]:
        problem(runbook, f"`Look` must begin: Grafana, **{dashboard['title']}**: *panel*, *panel*.")
        return
    for title in re.findall(r"\*(.+?)\*", look[2]):
        if title not in panel_titles(dashboard["panels"]):
            problem(runbook, f"{dashboard['title']} has no panel {title}")


def check_alert(rule):
    if rule.labels.get("severity") not in SEVERITIES:
        problem(rule.where, f"{rule.name} needs a severity: {', '.join(sorted(SEVERITIES))}")
    for annotation in ("summary", "description", "runbook_url"):
        if not rule.annotations.get(annotation):
            problem(rule.where, f"{rule.name} needs the annotation {annotation}")
    url = RUNBOOK_URL.format(rule.name)
    if rule.annotations.get("runbook_url", url) != url:
        problem(rule.where, f"the runbook_url of {rule.name} must be {url}")
    if not (RUNBOOKS / f"{rule.name}.md").is_file():
        problem(rule.where, f"{rule.name} has no runbook {RUNBOOKS}/{rule.name}.md")
    if not re.search(rf"\b{rule.name}\b", README.read_text()):
        problem(README, f"{rule.name} is not mentioned")


def check_tested(alerts):
    tests = "".join(path.read_text() for path in sorted(TESTS.glob("*.yaml")))
    for name in sorted(alerts):
        if not re.search(rf"alertname: {name}\n\s+exp_alerts:\n\s+- exp_labels:", tests):
            problem(TESTS, f"no test expects {name} to fire")
        if not re.search(rf"alertname: {name}, exp_alerts: \[\]", tests):
            problem(TESTS, f"no test expects {name} to be quiet")


def check_names(paths, recorded, metrics):
    """Every series that is named is recorded by a rule or published by the exporter."""
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for name in NAME.findall(line):
                if name not in (recorded if ":" in name else metrics):
                    problem(f"{path}:{number}", f"there is no metric {name}")


def main(metrics_file):
    metrics = set(re.findall(r"\bvminsights_[a-z0-9_]+", Path(metrics_file).read_text()))
    files = sorted(RULES.glob("*.yaml"))
    rules = [rule for path in files for rule in read_rules(path)]
    alerts = {rule.name for rule in rules if rule.kind == "alert"}
    recorded = {rule.name for rule in rules if rule.kind == "record"}
    dashboards = read_dashboards()
    for rule in rules:
        if rule.kind == "alert":
            check_alert(rule)
            check_dashboard_url(rule, dashboards)
        elif not re.fullmatch(r"[a-z_]+:vminsights_[a-z0-9_]+:[a-z0-9_]+", rule.name):
            problem(rule.where, f"{rule.name} is not level:metric:operation")
    for runbook in sorted(RUNBOOKS.glob("*.md")):
        if runbook.stem not in alerts | {"README"}:
            problem(runbook, "there is no such alert")
    check_tested(alerts)
    check_names(files + sorted(RUNBOOKS.glob("*.md")), recorded, metrics)
    if not alerts or not metrics:
        problem(RULES, "no alerts or no metrics found")
    for line in problems:
        print(line, file=sys.stderr)
    print(f"{len(alerts)} alerts, {len(recorded)} recorded series, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
