#!/usr/bin/env python3
"""
usage: systemd.py POSTROAD NATS-SERVER

The systemd units as they are installed: known to systemd without a complaint, and closed as far as `systemd-analyze security` can tell.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SYSTEMD = pathlib.Path(__file__).resolve().parents[1] / "systemd"
UNITS = ("postroad.service", "postroad@sync.service", "postroad-nats.service")
# From 0 (nothing may be done) to 10; a daemon that nobody thought about has more than 9.
EXPOSURE = 1.5


def main(postroad, nats_server):
    if not shutil.which("systemd-analyze"):
        print("NOTICE: systemd-analyze is not here; the units are not checked")
        return
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
        for name in sorted((root / "usr/lib/systemd/system").iterdir()):
            ran = analyze("security", "--offline=true", "--no-pager", name)
            found = re.search(r"Overall exposure level for .*: ([0-9.]+)", ran.stdout)
            assert found and float(found[1]) <= EXPOSURE, f"{name.name} is exposed: {ran.stdout[-3000:]}"
            print(f"{name.name}: exposure {found[1]} of 10")
        users = (root / "usr/lib/sysusers.d/postroad.conf").read_text()
        for name in sorted((root / "usr/lib/systemd/system").iterdir()):
            user = re.search(r"^User=(.*)$", name.read_text(), re.MULTILINE)[1]
            assert re.search(rf"^u {user} ", users, re.MULTILINE), f"{name.name} runs as {user}, whom nobody makes"


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
