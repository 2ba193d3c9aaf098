"""The recipes of docs/fleet: files that work as they stand."""

import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.cli import COMMANDS
from daemon.commands.parser import make_parser
from daemon.settings.fleet import NodeSettings, load_node

RECIPES = Path(__file__).parents[3] / "docs" / "fleet"
MANIFESTS = sorted(RECIPES.glob("*.yaml"))


def objects(path: Path) -> dict[str, Any]:
    """The objects of a manifest by kind."""
    return {one["kind"]: one for one in yaml.safe_load_all(path.read_text())}


def pod(path: Path) -> Any:
    return objects(path)["Deployment"]["spec"]["template"]["spec"]


def test_slurm_script_makes_a_node_of_what_it_is_granted(tmp_path: Path) -> None:
    shown = tmp_path / "atelierd"
    shown.write_text('#!/bin/sh\necho "$$" "$@"\n')
    shown.chmod(0o755)
    told = {
        "PATH": os.environ["PATH"],
        "HOME": "/home/an na",
        "TMPDIR": str(tmp_path / "scratch disk"),
        "SLURM_ARRAY_TASK_ID": "3",
        "SLURM_CPUS_PER_TASK": "8",
        "ATELIERD": str(shown),
    }
    with subprocess.Popen(
        ["bash", str(RECIPES / "node.sbatch")], env=told, stdout=subprocess.PIPE, text=True
    ) as job:
        out, _ = job.communicate(timeout=60)
    assert job.returncode == 0
    process, *words = out.split(maxsplit=1)
    assert int(process) == job.pid  # Slurm signals the batch script, and that is the node itself
    user = pwd.getpwuid(os.getuid()).pw_name
    place = tmp_path / "scratch disk" / f"atelierd-node-{user}-3"
    assert words == [f"--config {place}/node.yaml node\n"]
    node = load_node(place / "node.yaml")
    assert (node.name, node.threads, node.tags) == ("slurm-3", 8, ("slurm",))
    assert node.key == Path("/home/an na/atelierd/nodes/slurm/node.key")
    assert node.folder == place / "cache"
    assert place.stat().st_mode & 0o777 == 0o700


def test_slurm_tells_the_node_before_its_limit() -> None:
    assert "#SBATCH --signal=B:TERM@120\n" in (RECIPES / "node.sbatch").read_text()


def test_node_of_the_manifest_is_read(tmp_path: Path) -> None:
    text = objects(RECIPES / "node.yaml")["ConfigMap"]["data"]["node.yaml"]
    (tmp_path / "node.yaml").write_text(text)
    node: NodeSettings = load_node(tmp_path / "node.yaml")
    mounted = {
        mount["mountPath"] for mount in pod(RECIPES / "node.yaml")["containers"][0]["volumeMounts"]
    }
    assert {str(node.folder), str(node.ca.parent), "/tmp"} == mounted
    service = objects(RECIPES / "scheduler.yaml")["Service"]
    port = service["spec"]["ports"][0]["port"]
    assert node.scheduler == f"tls://{service['metadata']['name']}:{port}"


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifest_needs_no_volume_that_stays_and_no_rights(path: Path) -> None:
    spec = pod(path)
    kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"projected", "secret", "emptyDir"}
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    names = {volume["name"] for volume in spec["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == names


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifest_starts_a_command_that_there_is(path: Path) -> None:
    deployment = objects(path)["Deployment"]
    program, *words = pod(path)["containers"][0]["command"]
    assert program == "atelierd"
    assert vars(make_parser(COMMANDS).parse_args(words))["command"] is not None
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
