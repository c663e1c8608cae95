#!/usr/bin/env python3
"""
usage: chart.py POSTROAD

Checks the chart: every value set is linted, rendered, valid for Kubernetes and without findings of checkov; every configuration that comes out is
taken by POSTROAD itself; every value set of `refused/` is refused with what its first line says; what must hold of every pod holds.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import rendering
import skipped
from rendering import Refused, TESTS, TOOLS, helm, template

KUBERNETES = ("1.27", "1.37")
# Kinds of others, whose schemas are not Kubernetes' own.
FOREIGN = {"Certificate", "Issuer", "ScaledObject", "ServiceMonitor", "PrometheusRule"}
# Which of them each value set has.
FOREIGN_IN = {
    "closed": set(),
    "credentials": {"Certificate", "Issuer"},
    "defaults": set(),
    "existing": set(),
    "mesh": set(),
    "production": {"Certificate", "ScaledObject", "ServiceMonitor", "PrometheusRule"},
    "scaled": {"Certificate", "Issuer"},
}
ROLES = ("profile", "locator", "sync", "alert", "crm")
WITH_KEDA = {"production"}
# Findings that stay: value set or `*`, check, end of the resource, why.
EXCEPTIONS = (
    ("*", "CKV_K8S_8", "-doctor", "it runs once and ends"),
    ("*", "CKV_K8S_9", "-doctor", "it runs once and ends"),
    ("mesh", "CKV2_K8S_6", "", "the value set switches the policies off"),
)

failures = []
# Exceptions that a finding needed.
used = set()


def check(holds, what):
    if not holds:
        failures.append(what)
        print(f"    FAILED {what}")


def main(postroad):
    rendering.tools()
    sys.path.insert(0, str(TOOLS / "kubernetes-validate"))
    if not rendering.OFFICIAL:
        notice = "NOTICE: the official chart of NATS is not in deploy/helm/postroad/charts (helm dependency build fetches it): a stand-in is rendered"
        print(notice)
        skipped.note(notice)
    permissions(postroad)
    sections(postroad)
    dependency()
    readme = (rendering.ROOT / "README.md").read_text()
    fetched(readme[readme.index("umask"):readme.index("printf '[tls]")], "README")
    with tempfile.TemporaryDirectory() as folder:
        copy = rendering.chart(folder)
        sets = sorted((TESTS / "values").glob("*.yaml"))
        check({values.stem for values in sets} == set(FOREIGN_IN), "every value set is known here")
        for values in sets:
            print(f"--- {values.stem}")
            rendered(copy, values, pathlib.Path(folder), postroad)
            notes(copy, values)
        jobs(copy)
        names(copy)
        taken(copy)
        for values in sorted((TESTS / "refused").glob("*.yaml")):
            refused(copy, values)
    for exception in set(EXCEPTIONS) - used:
        check(False, f"nothing needs the exception {exception}")
    if failures:
        sys.exit(f"{len(failures)} checks of the chart failed")
    print(f"chart: {len(sets)} value sets rendered and valid")


def permissions(postroad):
    """The accounts of NATS by the chart's values, and what each may do, are what the program says."""
    import yaml

    said = json.loads(subprocess.run([postroad, "nats", "permissions", "--json"], capture_output=True, check=True).stdout)
    users = lambda account: {user["user"]: tuple(set(user[verb]) for verb in ("publish", "subscribe")) for user in account["users"] if not user["user"].startswith("all.")}
    wanted = {account["account"]: (account["jetstream"], account["exports"], account["imports"], users(account)) for account in said}
    values = yaml.safe_load((rendering.CHART / "values.yaml").read_text())
    allowed = lambda user, verb: user["permissions"][verb]["allow"]
    plain = lambda account: {"users": [{"user": user["user"], "publish": allowed(user, "publish"), "subscribe": allowed(user, "subscribe")} for user in account["users"]]}
    found = {
        name: (account.get("jetstream") == "enabled", account.get("exports", []), account.get("imports", []), users(plain(account)))
        for name, account in values["nats"]["config"]["merge"]["accounts"].items()
    }
    check(found == wanted, "the accounts of NATS in values.yaml are not those of `postroad nats permissions`: run deploy/helm/permissions POSTROAD")


def sections(postroad):
    """The sections of `config` that the schema takes are those of the program."""
    example = subprocess.run([postroad, "config", "example"], capture_output=True, text=True, check=True).stdout
    said = set(re.findall(r"^#?\[(\w+)", example, re.MULTILINE))
    taken = set(json.loads((rendering.CHART / "values.schema.json").read_text())["properties"]["config"]["properties"])
    check(taken == said, f"the sections of config are {sorted(said)}, the schema takes {sorted(taken)}")


def dependency():
    """The NATS that comes along is one that Postroad takes: the official chart's version is that of its NATS."""
    import yaml

    wanted = yaml.safe_load((rendering.CHART / "Chart.yaml").read_text())["dependencies"][0]["version"]
    oldest = re.search(r"OLDEST: \(u32, u32\) = \((\d+), (\d+)\);", (rendering.ROOT / "services/journal/src/jetstream.rs").read_text())
    found = re.fullmatch(r"~(\d+)\.(\d+)\.\d+", wanted)
    check(found and oldest and [int(part) for part in found.groups()] >= [int(part) for part in oldest.groups()], f"NATS {wanted} is too old for Postroad")


def jobs(copy):
    """What prepares NATS is another job whenever it is otherwise: Kubernetes refuses to change one, and with it the upgrade."""
    specs = {}
    for options in ("", "log=debug", "image.pullSecrets={registry}", "image.tag=next", "hostAliases[0].ip=192.0.2.1", "config.sync.lease_ms=20000", "tls.mode=certManager"):
        manifests, _ = template(copy, TESTS / "values/defaults.yaml", *(["--set", options] if options else []))
        job = next(manifest for manifest in manifests if manifest["kind"] == "Job")
        known = specs.setdefault(job["metadata"]["name"], job["spec"])
        check(known == job["spec"], f"with {options} the job {job['metadata']['name']} would have to be changed")


def names(copy):
    """Names that become part of host names are those that Kubernetes takes, whatever the release's is."""
    for release, more in (("a" * 53, ()), ("9" * 40, ("--set", "fullnameOverride=" + "b" * 60)), ("crm", ())):
        manifests = rendered_as(copy, release, "existing", *more)
        for manifest in manifests:
            name = manifest["metadata"]["name"]
            if manifest["kind"] in ("Deployment", "Job", "Pod", "Service", "StatefulSet"):
                check(re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name), f"the release {release} has the {manifest['kind']} {name}")
    for release, wanted in (("1crm.x", "fullnameOverride: 1crm.x-postroad cannot"), ("a" * 53, "nats.fullnameOverride: " + "a" * 53 + "-nats cannot")):
        try:
            rendered_as(copy, release, "defaults")
        except Refused as refusal:
            check(wanted in str(refusal), f"the release {release} is refused without naming {wanted}: {refusal}")
        else:
            check(False, f"the release {release} is taken")


def taken(copy):
    """What looks like something that is refused, and works."""
    existing = ",".join(f"tls.existing.{of}=tls-{of}" for of in (*ROLES, "operator", "prepare"))
    own = "nats.config.nats.tls.secretName=a,nats.config.cluster.tls.secretName=b,nats.tlsCA.secretName=c"
    for values, options in (
        ("defaults", f"tls.mode=existing,{existing}"),
        ("defaults", f"tls.mode=existing,{existing},{own}"),
        ("defaults", "nats.config.nats.tls.enabled=false,nats.config.merge.accounts=null"),
        ("defaults", "config.nats.url=null"),
        ("defaults", "config.sealing.key_id=b,config.sealing.key_file=/run/sealing.key"),
        ("defaults", "nats.config.cluster.tls.enabled=false,nats.config.cluster.tls.secretName="),
        ("production", "metrics.dashboards.labels=null"),
        ("mesh", "tls.mode=off"),
        ("existing", "sealing.keyId=20260101"),
    ):
        try:
            template(copy, TESTS / f"values/{values}.yaml", "--set", options)
        except Refused as refusal:
            check(False, f"{values} with {options}: {refusal}")


def rendered_as(copy, release, values, *more):
    import yaml

    text = helm("template", release, copy, "--namespace", "postroad", "--values", TESTS / f"values/{values}.yaml", *more)
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def fetched(commands, where):
    """The command line's files are fetched by any POSIX shell, and are for their owner only."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "kubectl").write_text('#!/bin/sh\nprintf "%s\\n" "$@" | base64\n')
        (folder / "kubectl").chmod(0o755)
        ran = subprocess.run(["sh", "-euc", commands], cwd=folder, env={"PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True, text=True, check=False)
        check(ran.returncode == 0, f"{where}: {ran.stderr}")
        for name in ("tls.crt", "tls.key", "ca.crt"):
            file = folder / "operator" / name
            path = "jsonpath={.data." + name.replace(".", "\\.") + "}"
            check(file.exists() and path in file.read_text().splitlines(), f"{where}: {name} is not asked for by {path}")
            check(file.exists() and file.stat().st_mode & 0o077 == 0, f"{where}: others can read {name}")


def notes(copy, values):
    """What helm says after an installation names what is there."""
    try:
        text = helm("install", "postroad", copy, "--namespace", "postroad", "--dry-run=client", "--values", values)
    except Refused as refusal:
        return check(False, f"{values.stem}: {refusal}")
    manifests, said = text.split("\nNOTES:\n")
    check("<no value>" not in said and "<nil>" not in said, f"{values.stem}: the notes lack a value")
    for kind, name in re.findall(r"(svc/|get secret )(\S+)", said):
        there = f"name: {name}\n" in manifests or f"secretName: {name}\n" in manifests
        check(there, f"{values.stem}: the notes name {kind}{name}, which is not there")
    if "operator/tls.crt" in said:
        fetched(said[said.rindex("umask"):said.index("printf")], f"{values.stem}: the notes")


def rendered(copy, values, folder, postroad):
    keda = ["--api-versions", "keda.sh/v1alpha1"] if values.stem in WITH_KEDA else []
    try:
        helm("lint", "--strict", "--quiet", copy, "--values", values)
        manifests, text = template(copy, values, *keda)
    except Refused as refusal:
        return check(False, f"{values.stem}: {refusal}")
    file = folder / f"{values.stem}.yaml"
    file.write_text(text)
    kinds = {manifest["kind"] for manifest in manifests}
    check(kinds & FOREIGN == FOREIGN_IN[values.stem], f"{values.stem}: its foreign kinds are {kinds & FOREIGN}")
    validate([manifest for manifest in manifests if manifest["kind"] not in FOREIGN], folder, values.stem)
    scan(file)
    pods = {name: spec for name, spec in pod_specs(manifests)}
    restricted(pods)
    whole(manifests, values.stem)
    configurations(manifests, folder, postroad)
    reachable(manifests, values.stem)


def validate(manifests, folder, name):
    """Strictly, against the oldest and the newest Kubernetes."""
    import yaml

    file = folder / f"{name}-own.yaml"
    file.write_text(yaml.safe_dump_all(manifests))
    for version in KUBERNETES:
        program = TOOLS / "kubernetes-validate/bin/kubernetes-validate"
        ran = subprocess.run(
            [sys.executable, program, "--strict", "--kubernetes-version", version, file],
            env={"PYTHONPATH": str(TOOLS / "kubernetes-validate"), "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, check=False,
        )
        passed = (ran.stdout + ran.stderr).count(" passed for resource ")
        check(ran.returncode == 0 and passed == len(manifests), f"{name} for Kubernetes {version}: {passed} of {len(manifests)} valid: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")


def scan(file):
    program = TOOLS / "checkov/bin/checkov"
    ran = subprocess.run(
        [sys.executable, program, "--config-file", TESTS / "checkov.yaml", "--output", "json", "--file", file],
        env={"PYTHONPATH": str(TOOLS / "checkov"), "PATH": "/usr/bin:/bin", "HOME": "/tmp", "BC_SKIP_MAPPING": "TRUE"},
        capture_output=True, text=True, check=False,
    )
    try:
        report = json.loads(ran.stdout)
    except ValueError:
        return check(False, f"checkov does not run: {ran.stdout[-500:]}{ran.stderr[-2000:]}")
    summary = report["summary"] if "summary" in report else report
    # Else nothing was looked at, which is no praise.
    check(summary["passed"] > 100, f"checkov passed only {summary['passed']} checks")
    results = report.get("results", {})
    check(not summary["parsing_errors"] and not results.get("parsing_errors"), f"{file.name}: checkov cannot read {results.get('parsing_errors')}")
    for finding in results.get("failed_checks", []):
        known = [exception for exception in EXCEPTIONS
                 if exception[0] in ("*", file.stem) and finding["check_id"] == exception[1] and finding["resource"].endswith(exception[2])]
        used.update(known)
        if not known:
            check(False, f"{file.name}: {finding['check_id']} {finding['check_name']}: {finding['resource']}")


def pod_specs(manifests):
    for manifest in manifests:
        spec = manifest.get("spec", {})
        if manifest["kind"] == "Pod":
            yield manifest["metadata"]["name"], spec
        elif manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield manifest["metadata"]["name"], spec["template"]["spec"]


def restricted(pods):
    """The Pod Security Standard `restricted`, and what the image promises."""
    check(len(pods) >= len(ROLES) + 1, "there is a pod for each role, and the doctor")
    for name, spec in pods.items():
        pod = spec.get("securityContext", {})
        check(pod.get("runAsNonRoot") is True, f"{name} runs as root")
        check(pod.get("seccompProfile", {}).get("type") == "RuntimeDefault", f"{name} has no seccomp profile")
        check(spec.get("automountServiceAccountToken") is False, f"{name} has a token of Kubernetes")
        check(not any(key in spec for key in ("hostNetwork", "hostPID", "hostIPC")), f"{name} shares with the host")
        allowed = {"configMap", "secret", "emptyDir", "projected"}
        check(all(set(volume) - {"name"} <= allowed for volume in spec.get("volumes", [])), f"{name} mounts what is not allowed")
        for container in spec["containers"]:
            context = container.get("securityContext", {})
            check(context.get("allowPrivilegeEscalation") is False, f"{name} may gain privileges")
            check(context.get("capabilities", {}).get("drop") == ["ALL"], f"{name} keeps capabilities")
            check(context.get("readOnlyRootFilesystem") is True, f"{name} can write into its image")


def whole(manifests, name):
    """What belongs together fits together."""
    named = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}
    deployments = {manifest["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: manifest
                   for manifest in manifests if manifest["kind"] == "Deployment"}
    check(set(deployments) == set(ROLES), f"{name}: a deployment for each role")
    for role, deployment in deployments.items():
        spec = deployment["spec"]["template"]["spec"]
        for volume in spec["volumes"]:
            config_map = volume.get("configMap", {}).get("name")
            check(config_map is None or ("ConfigMap", config_map) in named, f"{name}: {role} mounts the missing {config_map}")
        volumes = {volume["name"] for volume in spec["volumes"]}
        mounts = {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        check(volumes == mounts, f"{name}: {role} has the volumes {volumes} and mounts {mounts}")
        check(("ServiceAccount", spec["serviceAccountName"]) in named, f"{name}: {role} has no service account")
        # The key that opens passwords is not for a role that opens none.
        check(("sealing" in volumes) == (role != "alert"), f"{name}: {role} and the sealing key")
        probes = [spec["containers"][0].get(probe) for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
        check(all(probe and probe["exec"]["command"][1:3] == ["health", role] for probe in probes), f"{name}: {role} is not probed")
    grace = deployments["sync"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    check(grace >= 60, f"{name}: a worker has {grace} s for its hand-over")
    check(deployments["crm"]["spec"]["strategy"]["type"] == "Recreate", f"{name}: two crm at a time")
    budgets = [manifest for manifest in manifests if manifest["kind"] == "PodDisruptionBudget"]
    check(len(budgets) >= len(ROLES), f"{name}: a disruption budget for each role")
    check(all(budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow" for budget in budgets if budget["metadata"]["labels"]["app.kubernetes.io/name"] == "postroad"),
          f"{name}: a pod that does not work keeps a node")
    sealing = named.get(("Secret", f"{deployments['sync']['metadata']['name'].removesuffix('-sync')}-sealing"))
    check(sealing is None or sealing.get("immutable") is True, f"{name}: the sealing key can be overwritten")
    for policy in (manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy"):
        for way, peers in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(way) or []:
                check(rule.get(peers) and rule.get("ports"), f"{name}: {policy['metadata']['name']} lets everybody through: {rule}")
    check(not any(manifest["kind"] in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding") for manifest in manifests), f"{name}: rights at the Kubernetes API")
    scalers = [manifest["kind"] for manifest in manifests if manifest["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    wanted = {"production": ["ScaledObject"], "scaled": ["HorizontalPodAutoscaler"]}.get(name, [])
    check(scalers == wanted, f"{name}: scaled by {scalers}")
    for scaler in (manifest["spec"] for manifest in manifests if manifest["kind"] in wanted):
        # KEDA's own cooldownPeriod counts on the way to none only.
        behavior = scaler.get("behavior") or scaler.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
        check(behavior.get("scaleDown", {}).get("stabilizationWindowSeconds") == 300, f"{name}: a moment without load has mailboxes handed over")
    check(("replicas" in deployments["sync"]["spec"]) == (not wanted), f"{name}: the scaler and the deployment both say how many workers")
    nats = [manifest for manifest in manifests if manifest["kind"] == "ConfigMap" and "nats.conf" in manifest["data"]]
    for manifest in nats:
        check(re.search(r'"sync_interval": *"always"', manifest["data"]["nats.conf"]), f"{name}: NATS may lose what it acknowledged")
    if name == "production":
        alerts = [rule for manifest in manifests if manifest["kind"] == "PrometheusRule" for group in manifest["spec"]["groups"] for rule in group["rules"]]
        check(any("alert" in rule for rule in alerts), "the rules for alerts are in the chart")
        boards = [manifest for manifest in manifests if manifest["kind"] == "ConfigMap" and manifest["metadata"].get("labels", {}).get("grafana_dashboard") == "1"]
        check(boards and all("title" in json.loads(text) for board in boards for text in board["data"].values()), "the dashboards are in the chart")
    if name == "closed":
        ports = {port["port"] for rule in named[("NetworkPolicy", "postroad-common")]["spec"]["egress"] for port in rule["ports"]}
        check(ports == {4333, 4334, 443}, f"NATS is let through on {ports}, not on the ports of its URLs")
    jobs = [manifest for manifest in manifests if manifest["kind"] == "Job"]
    check(all(job["spec"].get("ttlSecondsAfterFinished") for job in jobs), f"{name}: jobs that are done stay for ever")
    if name == "production":
        query = next(manifest for manifest in manifests if manifest["kind"] == "ScaledObject")["spec"]["triggers"][0]["metadata"]["query"]
        check(query == 'sum(postroad_sync_due_mailboxes{namespace="postroad"})', f"{name}: KEDA counts the mailboxes of other releases: {query}")
    if name == "defaults":
        spread = named[("StatefulSet", "postroad-nats")]["spec"]["template"]["spec"]["topologySpreadConstraints"]
        even = [constraint for constraint in spread if constraint["topologyKey"] == "kubernetes.io/hostname" and constraint["maxSkew"] == 1]
        check(even and even[0]["whenUnsatisfiable"] == "DoNotSchedule", f"{name}: two servers of NATS on a node: {spread}")
        check(named[("StatefulSet", "postroad-nats")]["spec"]["replicas"] == 3, "three servers of NATS by default")


def configurations(manifests, folder, postroad):
    """What the roles will read, read by the program itself."""
    data = next(manifest["data"] for manifest in manifests if manifest["metadata"]["name"].endswith("-configuration"))
    check(set(data) == {f"{role}.toml" for role in (*ROLES, "operator", "prepare")}, "a configuration for each role, the command line, and what prepares NATS")
    for name, text in data.items():
        file = folder / name
        file.write_text(text)
        ran = subprocess.run([postroad, "config", "check", "--config", file], capture_output=True, text=True, check=False)
        complaint = ran.stdout + ran.stderr
        check(ran.returncode == 0, f"{name}: {complaint}\n{text}")


def reachable(manifests, name):
    """Each address in a configuration that is a service of this release is one of its ports, and one that the network policies let through."""
    import tomllib

    services = {manifest["metadata"]["name"]: manifest["spec"] for manifest in manifests if manifest["kind"] == "Service"}
    pods = [manifest["spec"]["template"] for manifest in manifests if manifest["kind"] in ("Deployment", "StatefulSet")]
    policies = [manifest["spec"] for manifest in manifests if manifest["kind"] == "NetworkPolicy"]
    data = next(manifest["data"] for manifest in manifests if manifest["metadata"]["name"].endswith("-configuration"))
    found = {url for text in data.values() for url in urls(tomllib.loads(text))}
    for url in sorted(found):
        host, _, port = url.partition("://")[2].partition(":")
        if host not in services:
            check("nats" not in host or name in ("closed", "credentials", "existing"), f"{name}: {url} is no service")
            continue
        port = next((there for there in services[host]["ports"] if str(there["port"]) == port), None)
        check(port, f"{name}: {url} is no port of the service")
        if not port:
            continue
        selector = services[host]["selector"].items()
        behind = next(pod for pod in pods if selector <= pod["metadata"]["labels"].items())
        listens = [there["containerPort"] for container in behind["spec"]["containers"] for there in container["ports"] if there["name"] == port["targetPort"]]
        check(len(listens) == 1, f"{name}: nothing listens for {url}")
        for policy in policies:
            if policy["podSelector"]["matchLabels"].items() <= behind["metadata"]["labels"].items() and policy.get("ingress"):
                passed = {there["port"] for rule in policy["ingress"] for there in rule["ports"]}
                check(set(listens) <= passed, f"{name}: {url} is closed by a network policy, which opens {passed}")
    check(any("nats" in url for url in found), f"{name}: no address of NATS in the configurations")


def urls(table):
    for value in table.values():
        if isinstance(value, dict):
            yield from urls(value)
        elif isinstance(value, str) and "://" in value:
            yield from value.split(",")


def refused(copy, values):
    wanted = values.read_text().splitlines()[0].removeprefix("# ")
    try:
        template(copy, values, "--api-versions", "keda.sh/v1alpha1")
    except Refused as refusal:
        check(wanted in str(refusal), f"{values.stem} is refused without naming {wanted}: {refusal}")
    else:
        check(False, f"{values.stem} is taken")


if __name__ == "__main__":
    main(sys.argv[1])
