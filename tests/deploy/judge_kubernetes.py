"""Judges what `kubectl kustomize` made: Kubernetes' own schemas, and what they cannot say.

    judge_kubernetes.py RENDERED.yaml...
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

APP = "vminsights-exporter"
# Kinds whose schema is not Kubernetes': judged here.
OPERATOR = {"ServiceMonitor", "PrometheusRule"}


def fail(text):
    raise SystemExit(f"judge_kubernetes.py: {text}")


def expect(what, is_so):
    if not is_so:
        fail(f"not so: {what}")


def schemas(name, objects):
    """Every object of Kubernetes' own kinds, without unknown keys, in the newest and an old version."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump_all([o for o in objects if o["kind"] not in OPERATOR], file)
        file.flush()
        for version in ("1.37.0", "1.29.0"):
            done = subprocess.run(
                ["kubernetes-validate", "--strict", "--no-warn", "-k", version, file.name],
                capture_output=True, text=True)
            if done.returncode:
                fail(f"{name} in {version}: {done.stdout}{done.stderr}")


def restricted(pod, container):
    """The rules of the pod security standard `restricted` that a pod has to state, and a read-only root."""
    whole, own = pod["securityContext"], container["securityContext"]
    expect("runAsNonRoot", whole["runAsNonRoot"] is True and whole["runAsUser"] > 0)
    expect("seccompProfile", whole["seccompProfile"] == {"type": "RuntimeDefault"})
    expect("no escalation", own["allowPrivilegeEscalation"] is False)
    expect("a read-only root", own["readOnlyRootFilesystem"] is True)
    expect("no capabilities", own["capabilities"] == {"drop": ["ALL"]})
    expect("no host namespaces", not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys())
    kinds = {key for volume in pod["volumes"] for key in volume} - {"name"}
    expect("only volumes that `restricted` allows", kinds <= {"configMap", "emptyDir", "secret", "projected"})


def shards(stateful, container):
    """Each part of the workspaces has one pod, which knows its number."""
    env = {one["name"]: one for one in container["env"]}
    expect("as many shards as replicas", env["SHARDS"]["value"] == str(stateful["replicas"]))
    expect("the pod's number is its shard's", "--shard=auto/$(SHARDS)" in container["args"])
    expect("it comes of its name", env["POD_NAME"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}})


def state(stateful, pod, container, config):
    """The one place that can be written to is the pod's own volume, where the configuration says that the state is."""
    claim, = stateful["volumeClaimTemplates"]
    writable, = (mount for mount in container["volumeMounts"] if not mount.get("readOnly"))
    expect("the volume is the claim's", writable["name"] == claim["metadata"]["name"])
    expect("for one node at a time", claim["spec"]["accessModes"] == ["ReadWriteOnce"])
    said = yaml.safe_load(config["data"]["exporter.yaml"])["state"]["path"]
    expect("the state is on it", said == writable["mountPath"])
    user = pod["securityContext"]
    expect("the user's group may write", user["fsGroup"] == user["runAsGroup"])


def fits(objects):
    """Selectors, ports and names that only mean something together."""
    by = {o["kind"]: o for o in objects}
    stateful = by["StatefulSet"]["spec"]
    pod = stateful["template"]["spec"]
    labels = stateful["template"]["metadata"]["labels"]
    container, = pod["containers"]
    restricted(pod, container)
    expect("a pinned image", ":" in container["image"] and not container["image"].endswith(":latest"))
    expect("the Service names the pods", stateful["serviceName"] == by["Service"]["metadata"]["name"])
    expect("which needs a headless one", by["Service"]["spec"]["clusterIP"] == "None")
    shards(stateful, container)
    state(stateful, pod, container, by["ConfigMap"])
    expect("workload identity", labels["azure.workload.identity/use"] == "true")
    expect("its annotation", "azure.workload.identity/client-id" in by["ServiceAccount"]["metadata"]["annotations"])
    expect("its account", pod["serviceAccountName"] == by["ServiceAccount"]["metadata"]["name"])
    for kind, selector in (
        ("StatefulSet", stateful["selector"]["matchLabels"]),
        ("Service", by["Service"]["spec"]["selector"]),
        ("NetworkPolicy", by["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]),
        ("PodDisruptionBudget", by["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]),
    ):
        expect(f"{kind} selects the pod", selector and selector.items() <= labels.items())
    port, = container["ports"]
    served, = by["Service"]["spec"]["ports"]
    allowed, = by["NetworkPolicy"]["spec"]["ingress"][0]["ports"]
    expect("the Service's port is the container's", served["targetPort"] == port["name"])
    expect("the policy lets it in", allowed["port"] == port["containerPort"])
    expect("it listens there", f"--web.listen-address=0.0.0.0:{port['containerPort']}" in container["args"])
    for probe, path in (("livenessProbe", "/-/healthy"), ("readinessProbe", "/-/ready")):
        expect(probe, container[probe]["httpGet"] == {"path": path, "port": port["name"]})
    mounted, = (mount for mount in container["volumeMounts"] if mount["name"] == "config")
    config = f"--config.file={mounted['mountPath']}/exporter.yaml"
    expect("the configuration is where it is looked for", config in container["args"])
    expect("and is read-only", mounted["readOnly"] is True)
    expect("it is the generated one", pod["volumes"][0]["configMap"]["name"] == by["ConfigMap"]["metadata"]["name"])
    levels = by["Namespace"]["metadata"]["labels"]
    expect("restricted namespace", levels["pod-security.kubernetes.io/enforce"] == "restricted")
    for o in objects:
        home = o["metadata"].get("namespace", o["metadata"]["name"])
        expect(f"{o['kind']} is in the namespace", home == by["Namespace"]["metadata"]["name"])
    return by


def operator(by):
    monitor, service = by["ServiceMonitor"]["spec"], by["Service"]
    expect("known keys of a ServiceMonitor", monitor.keys() == {"selector", "endpoints"})
    endpoint, = monitor["endpoints"]
    known = {"port", "path", "interval", "scrapeTimeout", "relabelings"}
    expect("known keys of an endpoint", endpoint.keys() <= known)
    expect("the monitor finds the Service",
           monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items())
    expect("and its port", endpoint["port"] == service["spec"]["ports"][0]["name"])
    expect("the job's name", {"targetLabel": "job", "replacement": "vminsights"} in endpoint["relabelings"])
    pod = ["__meta_kubernetes_namespace", "__meta_kubernetes_pod_name"]
    named = {"sourceLabels": pod, "separator": "/", "targetLabel": "instance"}
    expect("series that outlive a pod", named in endpoint["relabelings"])
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder, "rules.yaml")
        rules.write_text(yaml.safe_dump(by["PrometheusRule"]["spec"]))
        done = subprocess.run(["promtool", "check", "rules", "--lint=all", "--lint-fatal", rules],
                              capture_output=True, text=True)
        if done.returncode:
            fail(f"PrometheusRule: {done.stdout}{done.stderr}")


def dashboards(objects):
    expect("there are dashboards", objects)
    here = {file.name for file in Path("dashboards").glob("*.json")}
    expect("every dashboard is in one", here == {name for o in objects for name in o["data"]})
    for o in objects:
        expect("the sidecar's label", o["metadata"]["labels"]["grafana_dashboard"] == "1")
        expect("it fits into a ConfigMap", sum(map(len, o["data"].values())) < 1_000_000)


def main(files):
    for file in map(Path, files):
        objects = [o for o in yaml.safe_load_all(file.read_text()) if o]
        schemas(file.name, objects)
        if file.stem == "dashboards":
            dashboards(objects)
        else:
            by = fits(objects)
            if "PrometheusRule" in by:
                operator(by)
            if file.stem == "annotations":
                notes = by["Service"]["metadata"]["annotations"]
                expect("the annotated port", notes["prometheus.io/port"] == str(by["Service"]["spec"]["ports"][0]["port"]))
                expect("scraping", notes["prometheus.io/scrape"] == "true")
        print(f"kubernetes: {file.stem}: {len(objects)} objects are valid and fit together")


main(sys.argv[1:])
