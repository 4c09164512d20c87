"""Judges deploy/docker/compose.yaml: Compose's own schema, and the hardening that it promises."""
import re
from pathlib import Path

import yaml
from compose_spec import PyCompose

FOLDER = Path("deploy/docker")


def expect(what, is_so):
    if not is_so:
        raise SystemExit(f"judge_compose.py: not so: {what}")


# As Compose reads it where no variable is set.
text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (FOLDER / "compose.yaml").read_text())
expect("every variable has a default", "$" not in text)
compose = yaml.safe_load(text)
# Strict: an unknown key is an error. Merge keys are resolved by then.
PyCompose.from_yaml(yaml.safe_dump(compose)).validate()

services = compose["services"]
for name, service in services.items():
    expect(f"{name}: read-only root", service.get("read_only") is True)
    expect(f"{name}: no capabilities", service.get("cap_drop") == ["ALL"] and "cap_add" not in service)
    expect(f"{name}: no new privileges", service.get("security_opt") == ["no-new-privileges:true"])
    expect(f"{name}: a user by number, not root", service["user"].split(":")[0].isdigit() and service["user"][0] != "0")
    expect(f"{name}: not privileged", "privileged" not in service)
    for port in service.get("ports", []):
        expect(f"{name}: {port} only on loopback", port.startswith("127.0.0.1:"))
    tag = service["image"].rpartition(":")[2]
    expect(f"{name}: a pinned image", "build" in service or (any(c.isdigit() for c in tag) and tag != "latest"))
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        if source.startswith("."):
            # exporter.yaml is the user's to write.
            expect(f"{name}: {source} exists", source == "./exporter.yaml" or (FOLDER / source).exists())
            expect(f"{name}: {source} is read-only", mount.endswith(":ro"))
        else:
            expect(f"{name}: {source} is a volume", source in compose["volumes"])

# `docker compose up` starts the demo; azure is not beside it, for both have the same port.
env = (FOLDER / ".env").read_text()
expect("the demo is the default", "\nCOMPOSE_PROFILES=demo\n" in env)
expect("profiles", services["demo"]["profiles"] == ["demo"] and services["azure"]["profiles"] == ["azure"])
expect("no other profiles", all("profiles" not in s for n, s in services.items() if n not in ("demo", "azure")))

# The names that the generated files call.
prometheus = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
target = prometheus["scrape_configs"][0]["static_configs"][0]["targets"][0]
for name in ("demo", "azure"):
    expect(f"{name} is called {target}", target.split(":")[0] in services[name]["networks"]["monitoring"]["aliases"])
alertmanager = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
expect("mails go to the catcher", alertmanager["global"]["smtp_smarthost"].split(":")[0] in services)
for receiver in alertmanager["receivers"]:
    expect(f"{receiver['name']} sends mails only", receiver.keys() <= {"name", "email_configs"})

dockerfile = (FOLDER / "Dockerfile").read_text()
last = dockerfile.rpartition("\nFROM ")[2]
expect("the image's user is compose's", f"\nUSER {services['demo']['user']}\n" in last)
example = yaml.safe_load((FOLDER / "exporter.example.yaml").read_text())
state = example["state"]["path"]
expect("the state is on a volume", f"state:{state}" in services["azure"]["volumes"])
owned = f"COPY --from=build --chown={services['azure']['user']} /state {state}\n"
expect("which is the user's when it is new", owned in last)
expect("the program asks itself", '"healthcheck"]' in last and "HEALTHCHECK" in last)
for line in dockerfile.splitlines():
    if line.startswith("FROM "):
        expect(f"{line}: pinned", ":" in line and ":latest" not in line)
print(f"compose: {len(services)} services are valid and hardened")
