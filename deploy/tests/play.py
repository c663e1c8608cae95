#!/usr/bin/env python3
"""
usage: play.py MOCKEX NATS-SERVER NEXT [POSTROAD]

From the chart to the running main job, by the commands of the README's section "On Kubernetes", word for word: `helm` and `kubectl` are those of
`cluster.py`, which plays the pods with podman. Then an upgrade to an image of NEXT while mail flows: nothing is lost, nothing doubled. NEXT is built
with the feature `next-version`: what it writes into the journal of a mailbox, the image before it cannot read. POSTROAD is a program for the first
image; without one that is built as the README says.

Where podman or buildah is missing or cannot run a container, it says so loudly and ends with 0.
"""

import contextlib
import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import rendering

TESTS, ROOT = rendering.TESTS, rendering.ROOT
MAILBOXES = ("ada@contoso.example", "ben@contoso.example")
PORTS = (7401, 7402, 7403, 7404, 7405)

began = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - began:6.1f} s] {text}", flush=True)


def main(mockex, nats_server, following, postroad=None):
    if reason := unable():
        banner = "#" * 100
        print(f"{banner}\nTHE CHART'S PODS WERE NOT RUN HERE: {reason}\n{banner}")
        return
    rendering.tools()
    with tempfile.TemporaryDirectory(prefix="postroad-cluster-") as folder:
        os.environ["POSTROAD_CLUSTER"] = folder
        import cluster

        images(mockex, nats_server, following, postroad)
        state = cluster.up()
        try:
            journey(cluster, state, pathlib.Path(folder))
        finally:
            cluster.down()


def unable():
    """Why no container can run here, if none can."""
    for program in ("podman", "buildah", "runc"):
        if not shutil.which(program):
            return f"{program} is not installed"
    os.environ.setdefault("CONTAINERS_CONF", str(TESTS / "containers.conf"))
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy("/bin/true", folder)
        pack = [TESTS / "../image/assemble", "/bin/true", "true", f"{folder}/root"]
        for command in (pack, [TESTS / "../image/pack", f"{folder}/root", "localhost/postroad-probe:1", TESTS / "Containerfile"],
                        ["podman", "run", "--rm", "localhost/postroad-probe:1", "/usr/bin/true"]):
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode != 0:
                return (ran.stdout + ran.stderr).strip()
    return None


def images(mockex, nats_server, following, postroad):
    programs = [("mockex", mockex, "localhost/mockex:test", TESTS / "Containerfile"), ("nats-server", nats_server, "localhost/nats:2.15.1", TESTS / "Containerfile")]
    programs.append(("postroad", following, "postroad:next", TESTS / "../image/Containerfile"))
    if postroad:
        programs.append(("postroad", postroad, "postroad:0.1.0", TESTS / "../image/Containerfile"))
    with tempfile.TemporaryDirectory() as folder:
        for name, program, tag, containerfile in programs:
            subprocess.run([TESTS / "../image/assemble", program, name, f"{folder}/root"], check=True)
            subprocess.run([TESTS / "../image/pack", f"{folder}/root", tag, containerfile], check=True, stdout=subprocess.DEVNULL)
    closed(following)
    if postroad:
        # What `deploy/image/build` leaves, for the shell that runs the README.
        os.environ["POSTROAD_IMAGE_BUILT"] = "1"


def closed(program):
    """The same program gives the same image, byte for byte; it runs as nobody in particular, and has no shell."""
    digests = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([TESTS / "../image/assemble", program, "postroad", f"{folder}/root"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([TESTS / "../image/pack", f"{folder}/root", "postroad:twice"], check=True, stdout=subprocess.DEVNULL)
        inspect = ["podman", "image", "inspect", "localhost/postroad:twice", "--format", "{{.Digest}} {{.Config.User}}"]
        digests.append(subprocess.run(inspect, check=True, capture_output=True, text=True).stdout.split())
    assert digests[0] == digests[1] and digests[0][1] == "65532:65532", f"the image differs from itself: {digests}"
    shell = subprocess.run(["podman", "run", "--rm", "--entrypoint", "/bin/sh", "localhost/postroad:twice", "-c", "true"], capture_output=True, text=True, check=False)
    assert shell.returncode != 0 and "no such file" in shell.stderr, f"the image has a shell: {shell}"


def journey(cluster, state, folder):
    exchange = f"{state.data['subnet']}.10"
    manifests = list(cluster.yaml.safe_load_all((TESTS / "mockex.yaml").read_text()))
    state.objects["ConfigMap/mockex"] = manifests[0]
    cluster.play(state, "mockex", {"metadata": manifests[1]["metadata"], "spec": manifests[1]["spec"]}, [], "mockex", exchange)
    control = f"http://{exchange}:8080"
    cluster.eventually(30, lambda: cluster.logs("mockex", "mockex"), lambda: reached(control))
    site = folder / "site"
    site.mkdir()
    (site / "deploy").symlink_to(ROOT / "deploy")
    ready = json.loads(cluster.podman("logs", "mockex-mockex").stdout.splitlines()[0])
    cluster.podman("cp", f"mockex-mockex:{ready['authority_file']}", site / "exchange-authority.pem")
    (site / "site.yaml").write_text((TESTS / "played.yaml").read_text().replace("EXCHANGE", exchange))
    (site / "exchange.password").write_text("Pass-word1")
    (site / "people.csv").write_text("kind,name,addresses\n" + "".join(f"user,{address.split('@')[0]},{address}\n" for address in MAILBOXES))

    with Shell(site) as shell:
        for block in blocks("## On Kubernetes"):
            # The image is there already.
            if os.environ.get("POSTROAD_IMAGE_BUILT"):
                block = "\n".join(line for line in block.splitlines() if not line.startswith("deploy/image/build"))
            shell.run(block)
            if "port-forward" in block:
                cluster.eventually(30, "the forwarded ports answer", lambda: all(open_port(port) for port in PORTS))
        say("the README's commands have run")

        post = Post(control)
        for _ in range(20):
            post.deliver()
        arrived(shell, post, 60)
        say(f"{post.count} messages are in the CRM, each once")

        for pod in cluster.State().pods.values():
            ports = {port["name"]: port["containerPort"] for port in pod["template"]["spec"]["containers"][0].get("ports", [])}
            if "metrics" in ports:
                url = f"http://{pod['address']}:{ports['metrics']}/metrics"
                cluster.eventually(20, f"{pod['workload']} tells figures at {url}", lambda: b"postroad_" in fetched(url))

        # Mail flows while every role is replaced, by one that writes what the others cannot read.
        with post.flowing():
            shell.run("helm upgrade postroad deploy/helm/postroad --namespace postroad --reuse-values --set image.tag=next")
        arrived(shell, post, 120)
        say(f"upgraded; {post.count} messages are in the CRM, each once")
        for mailbox in MAILBOXES:
            shell.run(f"postroad mailbox audit {mailbox}")


def reached(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def fetched(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read()
    except OSError:
        return b""


def open_port(port):
    import socket

    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def blocks(heading):
    """The shell commands of a section of the README."""
    text = (ROOT / "README.md").read_text()
    section = text.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    found = [part.split("```", 1)[0] for part in section.split("```sh\n")[1:]]
    assert found, f"the README has no commands under {heading}"
    return found


class Shell:
    """One bash for all commands, as a person has."""

    def __init__(self, site):
        path = f"{TESTS / 'bin'}:{ROOT / 'target/image/root/usr/bin'}:{os.environ['PATH']}"
        self.site, self.environment = site, {**os.environ, "PATH": path}

    def __enter__(self):
        self.process = subprocess.Popen(["bash", "-euo", "pipefail"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, cwd=self.site, env=self.environment, start_new_session=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def run(self, commands, seconds=1800):
        """Runs commands; ends the test where one fails, or is silent for so long: a compiler on a busy machine is."""
        for line in commands.strip().splitlines():
            say(f"$ {line}")
        self.process.stdin.write(f"{commands}\necho end-of-block\n")
        self.process.stdin.flush()
        printed = []
        while True:
            try:
                line = self.lines.get(timeout=seconds)
            except queue.Empty:
                sys.exit(f"no end in {seconds} s:\n{''.join(printed)}")
            if line is None:
                sys.exit(f"the command failed:\n{commands}\n{''.join(printed)}")
            if line == "end-of-block\n":
                return "".join(printed)
            printed.append(line)
            print(f"[{time.monotonic() - began:6.1f} s]     {line}", end="", flush=True)


class Post:
    """Delivers messages, each with an id of its own."""

    def __init__(self, control):
        self.control, self.count = control, 0

    def deliver(self):
        mailbox = MAILBOXES[self.count % len(MAILBOXES)]
        letter = {"mailbox": mailbox, "from": "Gus <gus@fabrikam.example>", "to": [mailbox], "subject": f"Letter {self.count}", "text": "Hello", "message_id": self.id(self.count)}
        request = urllib.request.Request(f"{self.control}/messages", json.dumps(letter).encode(), {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()
        self.count += 1

    @staticmethod
    def id(number):
        return f"<letter-{number}@fabrikam.example>"

    @contextlib.contextmanager
    def flowing(self):
        over = threading.Event()

        def flow():
            while not over.wait(0.2):
                self.deliver()

        thread = threading.Thread(target=flow)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def message_id(activity):
    try:
        return (activity.get("messageId") or activity["message_id"]).strip("<>")
    except KeyError:
        sys.exit(f"an activity without a message id: {activity}")


def arrived(shell, post, seconds):
    """Waits until every message is an activity, and once."""
    wanted = sorted(post.id(number).strip("<>") for number in range(post.count))
    deadline = time.monotonic() + seconds
    while True:
        ran = subprocess.run(["postroad", "activity", "list", "--limit", "100000", "--json"], capture_output=True, text=True, cwd=shell.site, env={**shell.environment, "POSTROAD_CONFIG": "operator/postroad.toml"}, check=False)
        found = sorted(message_id(activity) for activity in json.loads(ran.stdout)) if ran.returncode == 0 else []
        if found == wanted:
            return
        if time.monotonic() > deadline or len(set(found)) < len(found):
            missing, doubled = sorted(set(wanted) - set(found)), sorted({one for one in found if found.count(one) > 1})
            diagnose(shell)
            sys.exit(f"{len(missing)} missing: {missing}, more than once: {doubled}, strangers: {sorted(set(found) - set(wanted))}\n{ran.stderr}")
        time.sleep(0.5)


def diagnose(shell):
    """What a person would look at."""
    for words in (["sync", "status"], ["server", "status"], ["mailbox", "list"], *(["mailbox", "timeline", mailbox] for mailbox in MAILBOXES), ["alert", "list"]):
        ran = subprocess.run(["postroad", *words], capture_output=True, text=True, cwd=shell.site, env={**shell.environment, "POSTROAD_CONFIG": "operator/postroad.toml"}, check=False)
        print(f"postroad {' '.join(words)}\n{ran.stdout[-4000:]}{ran.stderr[-2000:]}")
    for role in ("sync", "crm"):
        subprocess.run(["kubectl", "logs", f"deployment/postroad-{role}"], env=shell.environment, check=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
