"""
usage: cluster.py up | down | helm … | kubectl …       (state in the folder POSTROAD_CLUSTER)

Podman in place of a Kubernetes cluster, for the commands of the README. `helm` renders with the real helm; the pods that come out are played by
`podman kube play` as they are: users, read-only root, capabilities, secrets, configuration, arguments, limits. What Kubernetes does around pods is
done here in the simplest way that has the same effect:

* a Deployment or StatefulSet becomes its pods; each gets its own copy of the config maps and secrets that it mounts;
* a Service is a further name of its pods in the network;
* a Job is run until it succeeds, before an upgrade goes on;
* startup and readiness probes are asked until they pass; an upgrade starts a pod of the new kind, waits until it is ready, and stops one of the old
  kind within its grace period, or stops first where the strategy is Recreate;
* `lookup` sees the secrets that are there, through a server that answers as the Kubernetes API does.

Not here: NetworkPolicies, disruption budgets, autoscaling, scheduling.
"""

import base64
import copy
import hashlib
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import rendering
import secrets_server

sys.path.insert(0, str(rendering.TOOLS / "kubernetes-validate"))
import yaml

os.environ.setdefault("CONTAINERS_CONF", str(HERE / "containers.conf"))
FOLDER = pathlib.Path(os.environ.get("POSTROAD_CLUSTER", "/nonexistent"))
WORKLOADS = ("Deployment", "StatefulSet")
# What a role writes into its log when another has written what it cannot read.
NEWER = "a commit cannot be read by this version"


def podman(*arguments, check=True, **more):
    ran = subprocess.run(["podman", *map(str, arguments)], capture_output=True, text=True, check=False, **more)
    if check and ran.returncode != 0:
        sys.exit(f"podman {' '.join(map(str, arguments))} failed:\n{ran.stdout}{ran.stderr}")
    return ran


def eventually(seconds, what, condition):
    """Waits for a condition; ends the process where it does not come."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            sys.exit(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.2)
    return found


class State:
    """What is installed: kept in a file, since each command is a process of its own."""

    def __init__(self):
        self.file = FOLDER / "state.json"
        self.data = json.loads(self.file.read_text()) if self.file.exists() else {}

    def __getattr__(self, name):
        return self.data.setdefault(name, {})

    def save(self):
        self.file.write_text(json.dumps(self.data, indent=1))


def up():
    FOLDER.mkdir(parents=True, exist_ok=True)
    state = State()
    # A subnet that nobody on this machine has yet.
    for number in range(60, 250):
        name = f"postroad-test-{number}"
        made = podman("network", "create", "--subnet", f"10.89.{number}.0/24", name, check=False)
        if made.returncode == 0:
            break
    else:
        sys.exit(f"no network can be made:\n{made.stdout}{made.stderr}")
    state.data["network"], state.data["subnet"] = name, f"10.89.{number}"
    state.save()
    return state


def down():
    state = State()
    for pod in list(state.pods):
        remove(state, pod, grace=0)
    if "network" in state.data:
        podman("network", "rm", "--force", state.data["network"], check=False)
    # The next one starts with nothing.
    state.file.unlink(missing_ok=True)


# --- pods


def play(state, name, template, aliases, workload, address=None):
    """Starts one pod of a template, known by its own name and by `aliases`."""
    spec = copy.deepcopy(template["spec"])
    documents, scratch = [], {}
    for volume in spec.get("volumes", []):
        if "emptyDir" in volume:
            # Podman would give all pods the one of that name.
            own = f"{name}--{volume['name']}"
            scratch[volume["name"]], volume["name"] = own, own
        for kind, key, field in (("Secret", "secret", "secretName"), ("ConfigMap", "configMap", "name")):
            if key in volume:
                mounted = volume.pop(key)
                source = state.objects[f"{kind}/{mounted[field]}"]
                own = f"{name}--{mounted[field]}"
                data = source["data"] if kind == "ConfigMap" else {file: base64.b64decode(text).decode() for file, text in source["data"].items()}
                # Podman 4.3 would hand over a secret as it is written, in Base64: to podman, secrets are config maps too.
                documents.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": own}, "data": data})
                volume["configMap"] = {"name": own, **({"items": mounted["items"]} if "items" in mounted else {})}
                break
    for container in spec["containers"]:
        for mount in container.get("volumeMounts", []):
            mount["name"] = scratch.get(mount["name"], mount["name"])
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            # Podman leaves probes to systemd's timers; they are asked here.
            container.pop(probe, None)
        # Podman takes a container's port for one of the host.
        container.pop("ports", None)
    documents.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": template["metadata"].get("labels", {})}, "spec": spec})
    # Known before it is there, so that what fails halfway is cleared away too.
    state.pods[name] = {"workload": workload, "address": "", "template": template, "owned": [document["metadata"]["name"] for document in documents[:-1]] + list(scratch.values())}
    state.save()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump_all(documents, file)
        file.flush()
        network = ["--network", state.data["network"]] + (["--ip", address] if address else [])
        podman("kube", "play", "--start=false", *network, file.name)
    infra = podman("pod", "inspect", name, "--format", "{{.InfraContainerID}}").stdout.strip()
    if aliases:
        # The names of services, of which kube play takes none: before the pod starts, since its address changes with that.
        podman("network", "disconnect", state.data["network"], infra)
        known = [word for alias in aliases for word in ("--alias", alias)]
        podman("network", "connect", *known, *(["--ip", address] if address else []), state.data["network"], infra)
    podman("pod", "start", name)
    asked = ("inspect", infra, "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
    found = eventually(120, f"{name} has an address", lambda: podman(*asked).stdout.strip())
    state.pods[name]["address"] = found
    state.save()


def stop(name, grace):
    """Asks a pod to end, and kills what has not ended within its grace period, as the kubelet does; gives the seconds that it took."""
    began = time.monotonic()
    podman("pod", "stop", "--time", grace, name, check=False)
    return time.monotonic() - began


def remove(state, name, grace):
    took = stop(name, grace)
    podman("pod", "rm", "--force", name, check=False)
    for owned in state.pods[name]["owned"]:
        podman("volume", "rm", "--force", owned, check=False)
    del state.pods[name]
    state.save()
    return took


def passes(state, name, probe):
    """Whether a probe of the first container passes."""
    pod = state.pods[name]
    container = pod["template"]["spec"]["containers"][0]
    asked = container.get(probe)
    if asked is None:
        return True
    if "exec" in asked:
        return podman("exec", f"{name}-{container['name']}", *asked["exec"]["command"], check=False).returncode == 0
    get = asked["httpGet"]
    port = next((port["containerPort"] for port in container["ports"] if port["name"] == get["port"]), get["port"])
    try:
        connection = http.client.HTTPConnection(pod["address"], port, timeout=5)
        connection.request("GET", get["path"])
        return connection.getresponse().status < 400
    except OSError:
        return False


def ready(state, name, seconds=600):
    """Waits as long as the README says; a limit costs nothing where all is well."""
    container = state.pods[name]["template"]["spec"]["containers"][0]["name"]
    what = lambda: f"{name} is ready; its log ends with\n{logs(name, container)}"
    eventually(seconds, what, lambda: passes(state, name, "startupProbe") and passes(state, name, "readinessProbe"))


def logs(name, container, lines=8):
    ran = podman("logs", "--tail", lines, f"{name}-{container}", check=False)
    return ran.stdout + ran.stderr


# --- workloads


def apply(state, manifests):
    """Makes what is there what the manifests say."""
    for manifest in manifests:
        if "helm.sh/hook" not in manifest["metadata"].get("annotations", {}):
            state.objects[f"{manifest['kind']}/{manifest['metadata']['name']}"] = manifest
    state.save()
    workloads = [manifest for manifest in manifests if manifest["kind"] in WORKLOADS]
    # Names that nobody has yet are looked for outside, which may take long.
    workloads.sort(key=lambda workload: workload["kind"] != "StatefulSet")
    # All are started side by side, as a cluster does; those that need another wait for it.
    changed = [workload for workload in workloads if digest(state, workload) != state.digests.get(workload["metadata"]["name"])]
    fresh = [workload for workload in changed if not of(state, workload)]
    for workload in fresh:
        for index in range(workload["spec"].get("replicas", 1)):
            start(state, workload, index)
    for job in manifests:
        if job["kind"] == "Job" and job["metadata"]["name"] not in state.digests:
            eventually(600, f"{job['metadata']['name']} does its work", lambda: once(state, job["metadata"]["name"], job["spec"]["template"]) == 0)
            state.digests[job["metadata"]["name"]] = "done"
    for workload in changed:
        if workload not in fresh:
            replace(state, workload)
        state.digests[workload["metadata"]["name"]] = digest(state, workload)
    state.save()


def digest(state, workload):
    return hashlib.sha256(json.dumps(workload["spec"], sort_keys=True).encode()).hexdigest()


def of(state, workload):
    return [name for name, pod in state.pods.items() if pod["workload"] == workload["metadata"]["name"]]


def start(state, workload, index):
    name, template = workload["metadata"]["name"], workload["spec"]["template"]
    labels = template["metadata"]["labels"]
    services = [manifest for key, manifest in state.objects.items() if key.startswith("Service/")]
    aliases = [service["metadata"]["name"] for service in services if service["spec"]["selector"].items() <= labels.items()]
    if workload["kind"] == "StatefulSet":
        template = copy.deepcopy(template)
        for claim in workload["spec"].get("volumeClaimTemplates", []):
            template["spec"].setdefault("volumes", []).append({"name": claim["metadata"]["name"], "emptyDir": {}})
        pod = f"{name}-{index}"
        aliases.append(f"{pod}.{workload['spec']['serviceName']}")
    else:
        state.data["counter"] = state.data.get("counter", 0) + 1
        pod = f"{name}-{state.data['counter']}"
    play(state, pod, template, aliases, name)
    return pod


def replace(state, workload):
    """A rolling update, or a recreation."""
    old = of(state, workload)
    strategy = workload["spec"].get("strategy", {}).get("type", "RollingUpdate")
    grace = workload["spec"]["template"]["spec"].get("terminationGracePeriodSeconds", 30)
    for index, pod in enumerate(old):
        if strategy == "Recreate" or workload["kind"] == "StatefulSet":
            took = remove(state, pod, grace)
            ready(state, start(state, workload, index))
        else:
            ready(state, start(state, workload, index))
            took = stop(pod, grace)
            if NEWER in logs(pod, workload["spec"]["template"]["spec"]["containers"][0]["name"], 1_000_000):
                print(f"{pod} met what a newer version wrote")
            remove(state, pod, 0)
        print(f"{pod} ended after {took:.1f} s of {grace} s and was replaced")
        if took >= grace:
            sys.exit(f"{pod} did not end within its grace period")


# --- commands


def options(arguments, *with_value):
    """Splits arguments into words and options."""
    words, found = [], {}
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            words.append(argument)
        elif "=" in argument:
            key, value = argument.split("=", 1)
            found.setdefault(key.lstrip("-"), []).append(value)
        elif argument.lstrip("-") in with_value:
            found.setdefault(argument.lstrip("-"), []).append(next(rest))
        else:
            found[argument.lstrip("-")] = [True]
    return words, found


def helm(arguments):
    words, found = options(arguments, "n", "namespace", "f", "values", "set", "timeout")
    state = State()
    match words[0]:
        case "dependency":
            if not rendering.OFFICIAL:
                print("NOTICE: the official chart of NATS cannot be fetched here; a stand-in takes its place")
        case "install" | "upgrade":
            release, namespace = words[1], (found.get("n") or found.get("namespace"))[0]
            inputs = [["--values", file] for file in found.get("f", []) + found.get("values", [])]
            if "reuse-values" in found:
                inputs = state.data["inputs"]
            inputs = inputs + [["--set", value] for value in found.get("set", [])]
            state.data["inputs"] = inputs
            with tempfile.TemporaryDirectory() as folder, secrets_server.serve(state.objects) as server:
                chart = rendering.chart(folder)
                # Rendered with a look at what is there, as an installation is.
                text = rendering.helm(
                    "template", release, chart, "--namespace", namespace, "--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", server,
                    *(["--is-upgrade"] if words[0] == "upgrade" else []), *[word for pair in inputs for word in pair],
                )
            manifests = [manifest for manifest in yaml.safe_load_all(text) if manifest]
            state.data["hooks"] = [manifest for manifest in manifests if "helm.sh/hook" in manifest["metadata"].get("annotations", {})]
            apply(state, manifests)
            print(f"{release} has been {'installed' if words[0] == 'install' else 'upgraded'}")
        case "test":
            for hook in state.data["hooks"]:
                if hook["metadata"]["annotations"]["helm.sh/hook"] == "test":
                    if code := once(state, hook["metadata"]["name"], hook):
                        sys.exit(f"{hook['metadata']['name']} ended with {code}")
        case other:
            sys.exit(f"helm {other} is not known here")


def once(state, name, template):
    """Runs a pod to its end; gives its exit code."""
    template = copy.deepcopy(template)
    # Tried again here, not by podman.
    template["spec"]["restartPolicy"] = "Never"
    container = template["spec"]["containers"][0]["name"]
    play(state, name, template, [], name)
    code = podman("wait", f"{name}-{container}").stdout.strip()
    print(logs(name, container, 100))
    remove(state, name, 0)
    return int(code)


def kubectl(arguments):
    words, found = options(arguments, "n", "namespace", "o", "output", "timeout", "l", "for")
    state = State()
    match words:
        case ["wait", *_] | ["rollout", "status", *_]:
            for name in list(state.pods):
                ready(state, name)
                print(f"{name} is ready")
        case ["get", "secret", name]:
            field = (found.get("o") or found["output"])[0]
            key = field.removeprefix("jsonpath={.data.").removesuffix("}").replace("\\.", ".")
            sys.stdout.write(state.objects[f"Secret/{name}"]["data"][key])
        case ["create", "secret", "generic", name]:
            data = {}
            for source in found["from-file"]:
                key, _, file = source.rpartition("=")
                content = pathlib.Path(file).read_bytes()
                data[key or pathlib.Path(file).name] = base64.b64encode(content).decode()
            state.objects[f"Secret/{name}"] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
            state.save()
        case ["create", "namespace", _]:
            pass
        case ["port-forward", target, *ports]:
            forward(state, target.split("/")[-1], ports)
        case ["logs", name]:
            workload = name.split("/")[-1]
            for pod, details in state.pods.items():
                if details["workload"] == workload:
                    print(logs(pod, details["template"]["spec"]["containers"][0]["name"]))
        case _:
            sys.exit(f"kubectl {' '.join(words)} is not known here")


def forward(state, service, ports):
    """Passes connections on to a pod of a service, of which a new one is chosen for each connection."""
    selector = state.objects[f"Service/{service}"]["spec"]["selector"].items()
    for port in ports:
        here, _, there = port.partition(":")
        listener = socket.create_server(("127.0.0.1", int(here)))
        print(f"Forwarding from 127.0.0.1:{here} -> {there or here}", flush=True)
        threading.Thread(target=accept, args=(listener, selector, int(there or here)), daemon=True).start()
    threading.Event().wait()


def accept(listener, selector, port):
    while True:
        near, _ = listener.accept()
        pods = [pod for pod in State().pods.values() if selector <= pod["template"]["metadata"].get("labels", {}).items()]
        for pod in reversed(pods):
            try:
                far = socket.create_connection((pod["address"], port), timeout=5)
                far.settimeout(None)
            except OSError:
                continue
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=pump, args=(one, other), daemon=True).start()
            break
        else:
            near.close()


def pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    finally:
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["up"]:
            up()
        case ["down"]:
            down()
        case ["helm", *rest]:
            helm(rest)
        case ["kubectl", *rest]:
            kubectl(rest)
        case _:
            sys.exit(__doc__)
