"""Renders the chart with the real helm."""

import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/postroad"
TESTS = ROOT / "deploy/tests"
TOOLS = ROOT / "target/tools/deploy"
HELM = TOOLS / "helm"
OFFICIAL = sorted((CHART / "charts").glob("nats-*.tgz"))


class Refused(Exception):
    """What helm said when it refused."""


def tools():
    subprocess.run([TESTS / "tools", TOOLS], check=True)


def chart(folder):
    """
    The chart with its dependency, in `folder`. The official chart of NATS comes from a server that is not always reached: where
    `helm dependency build` has not put it into the chart, a stand-in takes its place.
    """
    copy = pathlib.Path(folder) / "postroad"
    shutil.copytree(CHART, copy, symlinks=False)
    if not OFFICIAL:
        shutil.copytree(TESTS / "nats", copy / "charts/nats")
    return copy


def helm(*arguments):
    ran = subprocess.run([HELM, *map(str, arguments)], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise Refused(ran.stdout + ran.stderr)
    return ran.stdout


def template(copy, values, *more):
    """The manifests, as a list of mappings."""
    # Brought by kubernetes-validate.
    import yaml

    text = helm("template", "postroad", copy, "--namespace", "postroad", "--values", values, *more)
    return [document for document in yaml.safe_load_all(text) if document], text
