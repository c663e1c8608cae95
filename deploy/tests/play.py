#!/usr/bin/env python3
"""
usage: play.py MOCKEX NATS-SERVER NEXT [POSTROAD]

From the chart to the running main job, by the commands of the README's section "On Kubernetes", word for word: `helm` and `kubectl` are those of
`cluster.py`, which plays the pods with podman. Then an upgrade to an image of NEXT while mail flows: nothing is lost, nothing doubled. NEXT is built
with the feature `next-version`: what it writes into the journal of a mailbox, the image before it cannot read. POSTROAD is a program for the first
image; without one that is built as the README says.

Then the value sets with a NATS that exists already (`outside.py`), by the same commands.

Where podman or buildah is missing or cannot run a container, it says so loudly and ends with 0, or with POSTROAD_PODMAN=required fails.
"""

import contextlib
import filecmp
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import outside
import rendering
import skipped

TESTS, ROOT = rendering.TESTS, rendering.ROOT
MAILBOXES = ("ada@contoso.example", "ben@contoso.example")
PORTS = (7401, 7402, 7403, 7404, 7405)
# The image is there already.
BUILT = {"deploy/image/build postroad:0.1.0": "true"}

began = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - began:6.1f} s] {text}", flush=True)


def main(mockex, nats_server, following, postroad=None):
    if reason := unable():
        return skipped.skip("THE CHART'S PODS WERE NOT RUN HERE", reason)
    rendering.tools()
    with tempfile.TemporaryDirectory(prefix="postroad-cluster-") as folder:
        folder = pathlib.Path(folder)
        os.environ["POSTROAD_CLUSTER"] = str(folder)
        import cluster

        programs = images(mockex, nats_server, following, postroad, folder)
        built = BUILT if postroad else {}
        with scene(cluster, folder / "own", programs) as (shell, post):
            own_nats(cluster, shell, post, built)
        for values, users in outside.USERS.items():
            with scene(cluster, folder / values, programs) as (shell, post):
                outside_nats(cluster, shell, post, values, users)


def unable():
    """Why no container can run here, if none can: asked without any of our own tools, which have to work where that does."""
    for program in ("podman", "buildah", "runc"):
        if not shutil.which(program):
            return f"{program} is not installed"
    os.environ.setdefault("CONTAINERS_CONF", str(TESTS / "containers.conf"))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        linked = subprocess.run(["ldd", "/bin/true"], capture_output=True, text=True, check=False).stdout
        for file in {"/bin/true", *re.findall(r"/[^ \n]+", linked)}:
            (folder / "root" / file[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / "root" / file[1:])
        (folder / "Containerfile").write_text("FROM scratch\nCOPY . /\n")
        tag = "localhost/postroad-probe:1"
        for command in (["buildah", "build", "--quiet", "--isolation", "chroot", "--file", folder / "Containerfile", "--tag", tag, folder / "root"],
                        ["podman", "run", "--rm", tag, "/bin/true"]):
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode != 0:
                return (ran.stdout + ran.stderr).strip()
    return None


def images(mockex, nats_server, following, postroad, folder):
    """Makes the images; gives the folder in which the program for the command line is, or will be once the image is built."""
    programs = [("mockex", mockex, "localhost/mockex:test", TESTS / "Containerfile"), ("nats-server", nats_server, "localhost/nats:2.15.1", TESTS / "Containerfile")]
    programs.append(("postroad", following, "postroad:next", TESTS / "../image/Containerfile"))
    if postroad:
        assert not filecmp.cmp(postroad, following, shallow=False), f"{following} is the same program as {postroad}"
        programs.append(("postroad", postroad, "postroad:0.1.0", TESTS / "../image/Containerfile"))
    for name, program, tag, containerfile in programs:
        root = folder / f"image-{tag.rpartition(':')[2]}"
        subprocess.run([TESTS / "../image/assemble", program, name, root], check=True)
        subprocess.run([TESTS / "../image/pack", root, tag, containerfile], check=True, stdout=subprocess.DEVNULL)
    closed(following)
    return folder / "image-0.1.0/usr/bin" if postroad else ROOT / "target/image/root/usr/bin"


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


@contextlib.contextmanager
def scene(cluster, site, programs):
    """A cluster with the fake Exchange and nothing else, and a site's files: gives a shell there, and the post."""
    cluster.eventually(60, f"the ports {PORTS} are free", lambda: not any(open_port(port) for port in PORTS))
    state = cluster.up()
    try:
        exchange = f"{state.data['subnet']}.10"
        manifests = list(cluster.yaml.safe_load_all((TESTS / "mockex.yaml").read_text()))
        state.objects["ConfigMap/mockex"] = manifests[0]
        cluster.play(state, "mockex", {"metadata": manifests[1]["metadata"], "spec": manifests[1]["spec"]}, [], "mockex", exchange)
        control = f"http://{exchange}:8080"
        cluster.eventually(180, lambda: cluster.logs("mockex", "mockex"), lambda: reached(control))
        site.mkdir()
        for name in ("deploy", "target"):
            (site / name).symlink_to(ROOT / name)
        ready = json.loads(cluster.podman("logs", "mockex-mockex").stdout.splitlines()[0])
        cluster.podman("cp", f"mockex-mockex:{ready['authority_file']}", site / "exchange-authority.pem")
        (site / "site.yaml").write_text((TESTS / "played.yaml").read_text().replace("EXCHANGE", exchange))
        (site / "exchange.password").write_text("Pass-word1")
        (site / "people.csv").write_text("kind,name,addresses\n" + "".join(f"user,{address.split('@')[0]},{address}\n" for address in MAILBOXES))
        with Shell(site, programs) as shell:
            yield shell, Post(control)
    finally:
        cluster.down()


def own_nats(cluster, shell, post, otherwise):
    """The chart with the NATS that comes along: installed, and upgraded while mail flows."""
    install(cluster, shell, otherwise)
    mail(shell, post, 20)

    for pod in cluster.State().pods.values():
        ports = {port["name"]: port["containerPort"] for port in pod["template"]["spec"]["containers"][0].get("ports", [])}
        if "metrics" in ports:
            url = f"http://{pod['address']}:{ports['metrics']}/metrics"
            cluster.eventually(120, f"{pod['workload']} tells figures at {url}", lambda: b"postroad_" in fetched(url))

    # Mail flows while every role is replaced, by one that writes what the others cannot read.
    with post.flowing():
        said = shell.run("helm upgrade postroad deploy/helm/postroad --namespace postroad --reuse-values --set image.tag=next")
    # Else the upgrade was to the same version, or old and new never lived side by side.
    assert "met what a newer version wrote" in said, "no old pod met what a newer version wrote"
    arrived(shell, post, 600)
    # Two polls more, which could find a message a second time.
    time.sleep(30)
    arrived(shell, post, 60)
    say(f"upgraded; {post.count} messages are in the CRM, each once")
    for mailbox in MAILBOXES:
        shell.run(f"postroad mailbox audit {mailbox}")


def outside_nats(cluster, shell, post, values, users):
    """The chart with a value set that names a NATS: no other is made, and that one has it all."""
    say(f"an existing NATS, by the value set {values}")
    known = users(shell)
    address = outside.start(cluster, shell.site)
    install(cluster, shell, BUILT | {
        "--values site.yaml": f"--values deploy/tests/values/{values}.yaml --values site.yaml {known.values}",
        "postroad-operator-tls": known.operator,
    })
    mail(shell, post, 6)
    assert not any(key.startswith("StatefulSet/") for key in cluster.State().objects), "the chart made a NATS of its own"
    outside.served(cluster, address, known)
    say(f"{values}: the NATS that exists holds the journal, and knows {', '.join(known.names)}")


def install(cluster, shell, otherwise):
    """Runs the commands of the README, with some words otherwise."""
    commands = blocks("## On Kubernetes")
    for word in otherwise:
        assert any(word in block for block in commands), f"the README does not say {word}"
    for block in commands:
        for word, other in otherwise.items():
            block = block.replace(word, other)
        said = shell.run(block)
        # Asked at the monitoring port, which has to be where the configuration says.
        assert "helm test" not in block or "every acknowledged message is on disk" in said, f"the doctor does not know that NATS keeps what it acknowledges: {said}"
        if "port-forward" in block:
            cluster.eventually(180, "the forwarded ports answer", lambda: all(open_port(port) for port in PORTS))
    say("the README's commands have run")


def mail(shell, post, count):
    for _ in range(count):
        post.deliver()
    arrived(shell, post, 300)
    say(f"{post.count} messages are in the CRM, each once")


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

    def __init__(self, site, programs):
        self.site = site
        self.environment = {**os.environ, "PATH": f"{TESTS / 'bin'}:{programs}:{os.environ['PATH']}"}

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
        # An answer can get lost on a machine whose networks change. A second copy has the same id: it has to be the same activity.
        for last in (False, False, True):
            try:
                urllib.request.urlopen(request, timeout=60).close()
                break
            except OSError as error:
                # While it connects, a timeout comes wrapped.
                if last or not isinstance(getattr(error, "reason", error), TimeoutError):
                    raise
        self.count += 1

    @staticmethod
    def id(number):
        return f"<letter-{number}@fabrikam.example>"

    @contextlib.contextmanager
    def flowing(self):
        over, failures = threading.Event(), []

        def flow():
            try:
                while not over.wait(0.2):
                    self.deliver()
            except OSError as error:
                failures.append(error)

        thread = threading.Thread(target=flow)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        # Else nothing flowed for a part of the time.
        assert not failures, f"the fake Exchange took no mail: {failures}"


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
