#!/usr/bin/env python3
"""Makes the deploy files that are other deploy files in another wrapping.

    deploy/generate.py            writes them
    deploy/generate.py --check    says which are not what would be written, and fails

Needs PyYAML.
"""
import difflib
import sys
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parent
ROOT = DEPLOY.parent
HEADER = "# Made by deploy/generate.py from {}. Change it there.\n"


class Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks; no anchors where a value stands twice."""

    def ignore_aliases(self, data):
        return True


def block(dumper, text):
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, block)


def dump(source, value):
    text = yaml.dump(value, Dumper=Dumper, sort_keys=False, width=4096, allow_unicode=True)
    return HEADER.format(source) + text


def replaced(text, old, new):
    """`text` with `old`, which must stand there exactly once, replaced by `new`."""
    if text.count(old) != 1:
        raise SystemExit(f"generate.py: {old} stands {text.count(old)} times in the source, expected once")
    return text.replace(old, new)


def prometheus_for_compose():
    """The scrape configuration with the containers' names."""
    text = (DEPLOY / "prometheus/prometheus.yml").read_text()
    text = replaced(text, "127.0.0.1:10048", "exporter:10048")
    text = replaced(text, "127.0.0.1:9093", "alertmanager:9093")
    return HEADER.format("deploy/prometheus/prometheus.yml") + text


def alertmanager_for_compose():
    """The same routes, inhibition and mails; every mail is caught, and nothing is sent elsewhere."""
    config = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    sender = config["global"]["smtp_from"]
    config["global"] = {
        "resolve_timeout": config["global"]["resolve_timeout"],
        "smtp_smarthost": "mailpit:1025",
        "smtp_from": sender,
        "smtp_require_tls": False,
    }
    mail = next(r for r in config["receivers"] if r["name"] == "page")["email_configs"][0]
    receivers = []
    for receiver in config["receivers"]:
        kept = {"name": receiver["name"]}
        if "email_configs" in receiver:
            kept["email_configs"] = receiver["email_configs"]
        elif receiver["name"] == "channel":
            kept["email_configs"] = [{**mail, "to": "channel@example.com"}]
        receivers.append(kept)
    config["receivers"] = receivers
    return dump("deploy/alertmanager/alertmanager.yml", config)


def prometheus_rule():
    """All rule files as one object of the Prometheus Operator."""
    groups = []
    for file in sorted((DEPLOY / "prometheus/rules").glob("*.yaml")):
        groups += yaml.safe_load(file.read_text())["groups"]
    return dump("deploy/prometheus/rules", {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "vminsights-exporter"},
        "spec": {"groups": groups},
    })


def dashboards():
    """A kustomization beside the dashboards: kubectl reads no file outside a kustomization's own folder."""
    generator = [
        {"name": f"{file.stem}-dashboard", "files": [file.name]}
        for file in sorted((ROOT / "dashboards").glob("*.json"))
    ]
    return dump("the files beside it", {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "monitoring",
        "configMapGenerator": generator,
        "generatorOptions": {
            "disableNameSuffixHash": True,
            "labels": {"grafana_dashboard": "1", "app.kubernetes.io/part-of": "vminsights-exporter"},
        },
    })


def files():
    made = {
        DEPLOY / "docker/prometheus.yml": prometheus_for_compose(),
        DEPLOY / "docker/alertmanager.yml": alertmanager_for_compose(),
        DEPLOY / "kubernetes/overlays/prometheus-operator/prometheusrule.yaml": prometheus_rule(),
    }
    if (ROOT / "dashboards").is_dir():
        made[ROOT / "dashboards/kustomization.yaml"] = dashboards()
    return made


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        raise SystemExit(__doc__)
    stale = False
    for path, text in files().items():
        name = str(path.relative_to(ROOT))
        old = path.read_text() if path.exists() else ""
        if old == text:
            continue
        if check:
            stale = True
            sys.stderr.writelines(difflib.unified_diff(
                old.splitlines(True), text.splitlines(True), name, "what deploy/generate.py makes", n=1))
        else:
            path.write_text(text)
            print(f"wrote {name}")
    if stale:
        raise SystemExit("generate.py: run deploy/generate.py and commit what it writes")


if __name__ == "__main__":
    main()
