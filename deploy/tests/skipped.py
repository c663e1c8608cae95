"""
What cannot be checked on this machine is told so that nobody misses it: at once, and by deploy/tests/run once more at the very end.
POSTROAD_PODMAN=required makes it a failure, for machines that must be able to.
"""

import os
import sys


def skip(what, reason):
    banner = "#" * 100
    print(f"{banner}\n{what}: {reason}\n{banner}", flush=True)
    if os.environ.get("POSTROAD_PODMAN") == "required":
        sys.exit(f"{what}, which POSTROAD_PODMAN=required forbids")
    note(f"{what}: {reason}")


def note(text):
    """What is said again at the end."""
    if file := os.environ.get("POSTROAD_SKIPPED"):
        with open(file, "a", encoding="utf-8") as notes:
            notes.write(f"{text}\n")
