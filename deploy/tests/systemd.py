#!/usr/bin/env python3
"""
usage: systemd.py POSTROAD NATS-SERVER

The systemd units as they are installed: known to systemd without a complaint, closed as far as `systemd-analyze security` can tell, and run by a
real systemd, in a container that sees this machine's /usr and /etc, writes into neither, and starts none of its services.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import skipped

SYSTEMD = pathlib.Path(__file__).resolve().parents[1] / "systemd"
UNITS = ("postroad.service", "postroad@sync.service", "postroad@alert.service", "postroad-nats.service")
# From 0 (nothing may be done) to 10; a daemon that nobody thought about has more than 9.
EXPOSURE = 1.5

# As the README says it, with what a person edits.
COMMANDS = r"""
/root/systemd/install /root/postroad
postroad config example > /etc/postroad/postroad.toml
sed -i 's|^#key_file = "/etc/postroad/sealing.key"|key_file = "/run/credentials/postroad.service/sealing.key"|; s|^#monitoring|monitoring|; s|^#token_file = .*|token_file = "/var/lib/postroad/token"|' \
    /etc/postroad/postroad.toml
postroad key new --out /etc/postroad/sealing.key
systemctl enable --now postroad-nats postroad
for _ in $(seq 600); do
    serving=0
    for role in profile locator sync alert crm; do postroad health $role --config /etc/postroad/postroad.toml > /dev/null 2>&1 && serving=$((serving + 1)); done
    [ $serving = 5 ] && break
    sleep 0.2
done
[ $serving = 5 ]
# A role that was there before NATS ended, and was started again.
restarts=$(systemctl show -P NRestarts postroad)
postroad doctor --config /etc/postroad/postroad.toml
[ "$(systemctl show -P User postroad)" = postroad ]
[ "$(systemctl show -P NRestarts postroad)" = "$restarts" ]
[ "$(systemctl show -P NRestarts postroad-nats)" = 0 ]
[ "$(systemctl show -P StartLimitIntervalUSec postroad postroad-nats postroad@crm | sort -u | tr -d "\n")" = 0 ]
[ "$(stat -c %a /etc/postroad/sealing.key)" = 600 ]
systemctl stop postroad
[ "$(systemctl show -P Result postroad)" = success ]
openssl rand -base64 32 | install -m 640 -g postroad /dev/stdin /etc/postroad/token
sed 's|credentials/postroad.service|credentials/postroad@crm.service|; s|/var/lib/postroad/token|/etc/postroad/token|' /etc/postroad/postroad.toml > /etc/postroad/crm.toml
systemctl start postroad@crm
for _ in $(seq 600); do postroad health crm --config /etc/postroad/crm.toml && break; sleep 0.2; done
postroad health crm --config /etc/postroad/crm.toml
[ -e /run/credentials/postroad@crm.service/sealing.key ]
grep -v '^key_file = "/run/credentials' /etc/postroad/crm.toml > /etc/postroad/alert.toml
systemctl start postroad@alert
for _ in $(seq 600); do postroad health alert --config /etc/postroad/alert.toml && break; sleep 0.2; done
postroad health alert --config /etc/postroad/alert.toml
# It opens no passwords, and gets no key.
[ ! -e /run/credentials/postroad@alert.service/sealing.key ]
systemctl stop postroad@crm postroad@alert
[ "$(systemctl show -P Result postroad@crm)" = success ]
[ "$(systemctl show -P Result postroad@alert)" = success ]
systemctl stop postroad-nats
[ "$(systemctl show -P Result postroad-nats)" = success ]
"""


def main(postroad, nats_server):
    if not shutil.which("systemd-analyze"):
        return skipped.skip("THE SYSTEMD UNITS WERE NOT CHECKED HERE", "systemd-analyze is not installed")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        subprocess.run([SYSTEMD / "install", postroad, root], check=True)
        shutil.copy(nats_server, root / "usr/bin/nats-server")
        (root / "bin").mkdir()
        shutil.copy("/bin/kill", root / "bin/kill")
        ran = analyze("verify", "--recursive-errors=no", f"--root={root}", *UNITS)
        assert ran.returncode == 0 and not ran.stdout + ran.stderr, ran.stdout + ran.stderr
        # A check that finds nothing must be able to.
        unit = root / "usr/lib/systemd/system/postroad.service"
        text = unit.read_text()
        unit.write_text(text.replace("ProtectSystem=", "ProtectSystems="))
        ran = analyze("verify", "--recursive-errors=no", f"--root={root}", "postroad.service")
        assert "ProtectSystems" in ran.stderr, ran.stderr
        unit.write_text(text)
        for name in sorted((root / "usr/lib/systemd/system").glob("*.service")):
            ran = analyze("security", "--offline=true", "--no-pager", name)
            found = re.search(r"Overall exposure level for .*: ([0-9.]+)", ran.stdout)
            assert found and float(found[1]) <= EXPOSURE, f"{name.name} is exposed: {ran.stdout[-3000:]}"
            print(f"{name.name}: exposure {found[1]} of 10")
        users = (root / "usr/lib/sysusers.d/postroad.conf").read_text()
        for name in sorted((root / "usr/lib/systemd/system").glob("*.service")):
            user = re.search(r"^User=(.*)$", name.read_text(), re.MULTILINE)[1]
            assert re.search(rf"^u {user} ", users, re.MULTILINE), f"{name.name} runs as {user}, whom nobody makes"
    run(postroad, nats_server)


def run(postroad, nats_server):
    """The units under a systemd of their own."""
    os.environ.setdefault("CONTAINERS_CONF", str(SYSTEMD.parent / "tests/containers.conf"))
    # Podman's overlays cannot lie in what they cover.
    with tempfile.TemporaryDirectory(dir="/var/lib") as folder:
        root = pathlib.Path(folder)
        root.chmod(0o755)
        for name in ("usr", "etc", "var/lib", "var/log", "run", "tmp", "proc", "sys", "dev", "root"):
            (root / name).mkdir(parents=True)
        for link in ("bin", "lib", "lib64", "sbin"):
            (root / link).symlink_to(f"usr/{link}")
        shutil.copytree(SYSTEMD, root / "root/systemd")
        shutil.copy(postroad, root / "root/postroad")
        container = f"postroad-systemd-{os.getpid()}"
        started = subprocess.run(
            ["podman", "run", "--detach", "--name", container, "--privileged", "--systemd=always", "--network", "none",
             "--volume", "/usr:/usr:O", "--volume", "/etc:/etc:O", "--rootfs", str(root), "/lib/systemd/systemd", "--unit=basic.target"],
            capture_output=True, text=True, check=False,
        ) if shutil.which("podman") else None
        if started is None or started.returncode != 0:
            return skipped.skip("THE SYSTEMD UNITS WERE NOT RUN HERE", started.stderr.strip() if started else "podman is not installed")
        try:
            subprocess.run(["podman", "cp", nats_server, f"{container}:/usr/bin/nats-server"], check=True)
            # Credentials are mounted where all can see them, as on a machine.
            script = f"mount --make-rshared /; for _ in $(seq 600); do systemctl is-active --quiet basic.target && break; sleep 0.2; done; set -euo pipefail; {COMMANDS}"
            ran = subprocess.run(["timeout", "900", "podman", "exec", container, "bash", "-xc", script], capture_output=True, text=True, check=False)
            if ran.returncode != 0:
                journal = subprocess.run(["podman", "exec", container, "journalctl", "--no-pager", "-n", "60"], capture_output=True, text=True, check=False)
                sys.exit(f"the units do not run:\n{ran.stdout}{ran.stderr}\n{journal.stdout}")
            print("the units run: postroad, postroad@crm, postroad@alert, postroad-nats")
        finally:
            subprocess.run(["podman", "rm", "--force", "--time", "2", container], capture_output=True, check=False)


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
