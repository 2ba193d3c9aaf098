"""What is typed to look after a fleet, as it answers."""

import errno
import json
import os
import socket
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from daemon import cli
from daemon.settings import fleet as fleet_settings
from daemon.settings.address import Address
from daemon.settings.config import check_guarded, load_config
from daemon.status import logs

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the log and what catches strays of the tests as they are."""
    monkeypatch.setattr(logs, "log_to_stderr", Mock())
    monkeypatch.setattr(logs, "catch_strays", Mock())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "studio" / "config.yaml"
    path.parent.mkdir(0o755)
    path.write_text("fleet: {embedded: true, listen: '0.0.0.0:9000', files: '0.0.0.0:9001'}\n")
    (path.parent / "presets").mkdir(0o755)
    return path


def typed(config: Path, *words: str) -> int:
    return cli.answer(["--config", str(config), *words])


def test_certificates_go_where_the_service_looks_for_them(config: Path, capsys: Capture) -> None:
    assert typed(config, "fleet", "certificates", "--service-name", "studio", "desk2") == 0
    lines = capsys.readouterr().out.splitlines()
    roles = [line.split()[:2] for line in lines[:4]]
    assert roles == [
        ["new", "authority"],
        ["new", "service"],
        ["new", "scheduler"],
        ["new", "node"],
    ]
    assert lines[-1].strip() == str(config.parent / "state" / "fleet" / "nodes" / "desk2")
    loaded = load_config(config)
    assert loaded.fleet is not None
    fleet_settings.check_fleet(loaded.fleet.place(loaded.state), config)
    check_guarded(loaded, config)
    node = (config.parent / "state" / "fleet" / "nodes" / "desk2" / "node.yaml").read_text()
    assert "scheduler: tls://studio:9000\nfiles_url: https://studio:9001\n" in node


def test_state_folder_and_a_fleet_can_begin_with_its_certificates(
    config: Path, capsys: Capture
) -> None:
    assert not (config.parent / "state").exists()
    assert typed(config, "fleet", "certificates") == 0
    name = socket.gethostname()
    assert "next" not in capsys.readouterr().out  # no node was named
    assert typed(config, "fleet", "certificates", "desk2") == 0
    node = (config.parent / "state" / "fleet" / "nodes" / "desk2" / "node.yaml").read_text()
    assert f"tls://{name}:9000" in node


@pytest.mark.parametrize(
    ("scheduler", "told"),
    [
        ("tls://127.0.0.1:9000", "tls://studio:9000"),  # as a user of its own on the same host
        ("tls://gate.example:9000", "tls://gate.example:9000"),
    ],
)
def test_node_is_told_the_scheduler_as_it_reaches_it(
    config: Path, scheduler: str, told: str
) -> None:
    config.write_text(f"fleet: {{scheduler: '{scheduler}'}}\n")
    assert typed(config, "fleet", "certificates", "--service-name", "studio", "desk2") == 0
    node = (config.parent / "state" / "fleet" / "nodes" / "desk2" / "node.yaml").read_text()
    assert f"scheduler: {told}\n" in node


def test_folder_of_ones_own_needs_no_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.answer(["fleet", "certificates", "--folder", "keys", "desk2", "desk2"]) == 0
    assert capsys.readouterr().out.count("node ") == 1
    assert (tmp_path / "keys" / "nodes" / "desk2" / "node.key").exists()
    assert (tmp_path / "keys" / "ca.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "words",
    [
        ["../desk2"],
        ["desk 2"],
        [""],
        ["--days", "0"],
        ["--days", "4000"],
        ["--service-name", "a b"],
        ["--service-name", "https://studio"],
    ],
)
def test_names_that_cannot_be_are_refused(config: Path, words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        typed(config, "fleet", "certificates", *words)
    assert ended.value.code == 2
    assert "must" in capsys.readouterr().err
    assert not (config.parent / "state").exists()


def test_fleet_tells_where_it_is_and_how_long_its_certificates_hold(
    config: Path, capsys: Capture
) -> None:
    typed(config, "fleet", "certificates", "--days", "100")
    (config.parent / "state" / "fleet" / "scheduler.pem").unlink()
    capsys.readouterr()
    assert typed(config, "fleet") == 0
    told = capsys.readouterr().out
    assert "scheduler  tls://127.0.0.1:9000, ours, at 0.0.0.0:9000\n" in told
    assert f"files      https://{socket.gethostname()}:9001, at 0.0.0.0:9001\n" in told
    assert "scheduler.pem: No such file" in told
    config.write_text("")
    assert typed(config, "fleet") == 0
    assert capsys.readouterr().out.startswith("no fleet: ")


def test_without_the_extra_every_command_says_what_to_install(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(fleet_settings, "EXTRA", ("no_such_package",))
    node = config.parent / "node.yaml"
    node.write_text("scheduler: tls://studio:8786\nname: desk2\n")
    for words in (["fleet"], ["fleet", "certificates"], ["fleet", "scheduler"], ["run"]):
        assert typed(config, *words) == 78, words
        assert "pip install 'atelierd[fleet]'" in capsys.readouterr().err
    for words in (["node"], ["install-service", "--node", "--user"]):
        assert typed(node, *words) == 78, words
        assert "pip install 'atelierd[fleet]'" in capsys.readouterr().err
    assert not (config.parent / "state").exists()


def test_service_with_a_fleet_does_not_start_without_certificates(
    config: Path, capsys: Capture
) -> None:
    assert typed(config, "run", "--once") == 78
    told = capsys.readouterr().err
    assert "service.key:1: cannot be read" in told and "atelierd fleet certificates" in told


def test_service_without_devices_says_where_pictures_are_painted(
    config: Path, capsys: Capture
) -> None:
    config.write_text("devices: none\nfleet: {embedded: true}\n")
    (config.parent / "a.jpg").touch()
    assert typed(config, "stylize", str(config.parent / "a.jpg"), "--preset", "x") == 78
    assert "devices: is none, so nothing can be painted here" in capsys.readouterr().err


@pytest.fixture
def node_file(tmp_path: Path, capsys: Capture) -> Path:
    folder = tmp_path / "keys"
    assert cli.answer(["fleet", "certificates", "--folder", str(folder), "desk2"]) == 0
    capsys.readouterr()
    return folder / "nodes" / "desk2" / "node.yaml"


def test_node_runs_with_what_its_file_says(
    node_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_node = Mock(return_value=0)
    monkeypatch.setattr("daemon.fleet.supervisor.run_node", run_node)
    assert typed(node_file, "node") == 0
    settings, path = run_node.call_args.args
    assert (settings.name, path) == ("desk2", node_file)


def test_node_looks_for_its_file_beside_it(
    node_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(node_file.parent)
    assert fleet_settings.find_node(None) == node_file
    monkeypatch.chdir("/")
    assert cli.answer(["node"]) == 78
    told = capsys.readouterr().err
    assert "looked for node.yaml and /etc/atelierd/node.yaml" in told


def test_node_is_installed_where_its_owner_has_his_units(
    node_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert typed(node_file, "install-service", "--node", "--user") == 0
    unit = tmp_path / "systemd" / "user" / "atelierd-node.service"
    assert f"--config {node_file} node\n" in unit.read_text()
    assert "systemctl --user enable --now atelierd-node.service" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        ["--node", "--nightly", "--user"],
        ["--node", "--scheduler", "--system"],
        ["--scheduler", "--user"],
    ],
)
def test_one_thing_at_a_time_is_installed(config: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        typed(config, "install-service", *options)
    assert ended.value.code == 2


def test_schedulers_unit_is_shown_with_where_it_listens(config: Path, capsys: Capture) -> None:
    assert typed(config, "install-service", "--scheduler", "--system", "--dry-run") == 0
    shown = capsys.readouterr()
    assert "fleet scheduler --folder %d --listen 0.0.0.0:9000\n" in shown.out
    assert "the service runs no scheduler of its own beside this one" in shown.err


def test_scheduler_runs_with_the_pair_of_its_folder(
    node_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = node_file.parents[2]
    asked: list[Any] = []

    async def schedule(*given: Any, told: Any) -> None:
        asked.extend(given)
        told({"event": "listening", "address": "tls://0.0.0.0:9000"})

    monkeypatch.setattr("daemon.fleet.dask_settings.set_up_dask", Mock())
    monkeypatch.setattr("daemon.fleet.scheduler.schedule", schedule)
    words = ["fleet", "scheduler", "--folder", str(folder), "--listen", "0.0.0.0:9000"]
    assert cli.answer(words) == 0
    assert asked == [
        "0.0.0.0:9000",
        folder / "ca.pem",
        folder / "scheduler.pem",
        folder / "scheduler.key",
    ]


@pytest.mark.parametrize("wrapped", [False, True])
def test_address_that_is_taken_is_told(
    node_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, wrapped: bool
) -> None:
    async def schedule(*_: Any, told: Any) -> None:
        taken = OSError(errno.EADDRINUSE, "Address already in use")
        if wrapped:  # as Dask does it
            raise RuntimeError("Scheduler failed to start.") from taken
        raise taken

    monkeypatch.setattr("daemon.fleet.dask_settings.set_up_dask", Mock())
    monkeypatch.setattr("daemon.fleet.scheduler.schedule", schedule)
    folder = str(node_file.parents[2])
    assert cli.answer(["fleet", "scheduler", "--folder", folder, "--listen", "127.0.0.1:9000"]) == 1
    told = capsys.readouterr().err
    assert "nothing can listen at 127.0.0.1:9000: Address already in use" in told


def test_scheduler_without_its_pair_says_so(tmp_path: Path, capsys: Capture) -> None:
    assert cli.answer(["fleet", "scheduler", "--folder", str(tmp_path)]) == 1
    assert f"{tmp_path / 'ca.pem'} is no certificate that can be read" in capsys.readouterr().err


def test_doctor_of_a_node_tells_what_to_mend(
    node_file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from daemon.doctor import node

    monkeypatch.setattr(node, "check_peer", Mock(return_value="it answers"))
    monkeypatch.setattr(node, "check_weights", lambda: "they are there")
    node_file.write_text(node_file.read_text() + "devices: cpu\n")
    assert typed(node_file, "doctor", "--node", "--json") == 0
    findings = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert {"node.yaml", "certificate", "scheduler", "files", "folder", "devices"} <= set(findings)
    os.truncate(node_file.parent / "node.key", 0)
    assert typed(node_file, "doctor", "--node") == 1
    assert "are no certificate with its key" in capsys.readouterr().out


def test_address_is_one_that_can_be_listened_at(config: Path, capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        typed(config, "fleet", "scheduler", "--listen", "studio")
    assert "must be HOST:PORT" in capsys.readouterr().err
    assert Address("0.0.0.0", 8786) == fleet_settings.to_listening("0.0.0.0:8786")
