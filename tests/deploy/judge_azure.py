"""Judges deploy/azure: main.bicep is Bicep, main.json is ARM, and both say the same.

No compiler is needed: both are brought to one form, and that is compared. An expression is compared where
both languages write it alike, a literal always.
"""
import json
import re
from pathlib import Path

from pycep import BicepParser

FOLDER = Path("deploy/azure")
READER = "73c42c96-874c-492b-b04d-ab87d138a893"


def expect(what, is_so):
    if not is_so:
        raise SystemExit(f"judge_azure.py: not so: {what}")


def same(what, bicep, arm):
    if bicep != arm:
        raise SystemExit(f"judge_azure.py: {what} differ:\n  bicep: {bicep}\n  arm:   {arm}")


text = (FOLDER / "main.bicep").read_text()
bicep = BicepParser().parse(text=text)
arm = json.loads((FOLDER / "main.json").read_text())
expect("no message of a parser in the template", arm["contentVersion"] == "1.0.0.0")
same("parameters", set(bicep["parameters"]), set(arm["parameters"]))
same("variables", set(bicep["variables"]), set(arm["variables"]))
same("outputs", set(bicep["outputs"]), set(arm["outputs"]))


# Parameters: type, default, limits and description, read from the text, where each stands above its name.
declared = re.findall(r"((?:@\w+\(.*\)\n)+)param (\w+) (\w+) = (.*)\n", text)
same("documented parameters", {name for _, name, _, _ in declared}, set(arm["parameters"]))
for above, name, kind, default in declared:
    expected = {"type": kind}
    if default == "resourceGroup().location":
        expected["defaultValue"] = f"[{default}]"
    elif default == "[]":
        expected["defaultValue"] = []
    else:
        expected["defaultValue"] = json.loads(default.replace("'", '"'))
    for decorator, value in re.findall(r"@(\w+)\((.*)\)", above):
        if decorator == "description":
            expected["metadata"] = {"description": value.strip("'")}
        else:
            expected[decorator] = int(value)
    same(f"parameter {name}", expected, arm["parameters"][name])


def literals(value):
    """The literals of Bicep or ARM properties, in order; expressions and references as `…`."""
    if isinstance(value, dict):
        if value.keys() & {"operator", "function", "interpolation"}:
            return "…"
        return {key: literals(item) for key, item in value.items()}
    if isinstance(value, list):
        return [literals(item) for item in value]
    if isinstance(value, str):
        if value.startswith("[") or value in bicep["parameters"] or value in bicep["variables"]:
            return "…"
        return value.replace("\\\\", "\\")
    return value


def from_bicep(resource):
    config = resource["config"]
    loop = config["loop_type"]["detail"]["array_name"] if "loop_type" in config else None
    if loop:
        config = config["config"]
    name = literals(config["name"])
    return (resource["type"], name, resource["api_version"], loop, "location" in config, literals(config["properties"])
            if "properties" in config else None)


def from_arm(resource):
    loop = None
    if "copy" in resource:
        loop, = re.findall(r"^\[length\(parameters\('(\w+)'\)\)\]$", resource["copy"]["count"])
    # An extension's name has its VM's before it, where Bicep says `parent`.
    child = re.fullmatch(r"\[format\('\{0\}/\{1\}', .*, '(\w+)'\)\]", resource["name"])
    name = child[1] if child else literals(resource["name"])
    return (resource["type"], name, resource["apiVersion"], loop, "location" in resource,
            literals(resource["properties"]) if "properties" in resource else None)


def sorted_by_text(items):
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


ours = sorted_by_text(from_bicep(r) for r in bicep["resources"].values() if not r["existing"])
theirs = sorted_by_text(map(from_arm, arm["resources"]))
same("the numbers of resources", len(ours), len(theirs))
for one, other in zip(ours, theirs):
    same(f"{one[0]}s", one, other)

# Every name that an ARM expression uses exists, and so does every copy that something waits for.
whole = json.dumps(arm)
for kind in ("parameters", "variables"):
    for name in re.findall(rf"{kind}\('(\w+)'\)", whole):
        expect(f"{kind}('{name}') is declared", name in arm[kind])
copies = {r["copy"]["name"] for r in arm["resources"] if "copy" in r}
names = {r["name"].strip("[]") for r in arm["resources"]}
for resource in arm["resources"]:
    for other in resource.get("dependsOn", []):
        inner = re.fullmatch(r"\[resourceId\('[\w./]+', (parameters\('\w+'\))\)\]", other)
        expect(f"{other} is a resource or a copy of this template", inner[1] in names if inner else other in copies)
for expression in re.findall(r'"(\[[^"]*\])"', json.dumps(arm["resources"]) + json.dumps(arm["outputs"])):
    expect(f"{expression} has balanced parentheses", expression.count("(") == expression.count(")"))

# What the exporter needs, and nothing more.
rule = next(r for r in arm["resources"] if r["type"].endswith("/dataCollectionRules"))["properties"]
sent = {stream for flow in rule["dataFlows"] for stream in flow["streams"]}
same("streams", sent, {"Microsoft-InsightsMetrics", "Microsoft-ServiceMap"})
roles = [r for r in arm["resources"] if r["type"].endswith("/roleAssignments")]
same("the number of grants", len(roles), 1)
expect("it is on the workspace", roles[0]["scope"].startswith("[format('Microsoft.OperationalInsights/workspaces/"))
expect("it is Log Analytics Reader", READER in arm["variables"]["logAnalyticsReader"])
expect("and in Bicep", READER in text and "scope: workspace\n" in text)
print(f"azure: {len(theirs)} resources, the same in Bicep and ARM")
