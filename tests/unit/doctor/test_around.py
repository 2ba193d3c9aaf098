"""The service around the program, as the doctor sees it."""

import json
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.cli import answer
from daemon.doctor import service
from daemon.doctor.finding import found
from daemon.install.render import Order, Scope, render, running_program
from daemon.settings.config import Config, Log
from daemon.state.lock import hold
from daemon.status.live import Live, write_live

tried = partial(found, "what")

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_checks_made_by_another_user_are_told(tmp_path: Path) -> None:
    assert tried(service.check_user, tmp_path, os.geteuid()).ok
    found = tried(service.check_user, tmp_path, os.geteuid() + 1)
    assert not found.ok
    assert f"sudo -u {service.user_name(os.geteuid())} atelierd doctor" in found.detail


def test_holder_of_the_state_folder_is_named(config: Config) -> None:
    assert tried(service.check_holder, config, NOW).detail == "no service is running"
    lock = hold(config.state)
    try:
        found = tried(service.check_holder, config, NOW)
    finally:
        lock.release()
    assert found.ok
    assert found.detail.startswith(f"pid {os.getpid()} on ")


@pytest.mark.parametrize(("seconds", "ok"), [(60, True), (600, False)])
def test_service_that_is_silent_is_told(config: Config, seconds: int, ok: bool) -> None:
    lock = hold(config.state)
    written = (NOW - timedelta(seconds=seconds)).isoformat()
    write_live(config.state, Live(1, written, written))
    try:
        found = tried(service.check_holder, config, NOW)
    finally:
        lock.release()
    assert found.ok is ok


def units(config: Config, config_path: Path, folder: Path) -> dict[str, bool]:
    nowhere = folder / "nowhere"
    found = service.check_units(config, config_path, nowhere, folder)
    return {finding.detail: finding.ok for finding in found}


def test_unit_that_differs_from_what_would_be_written_is_told(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder, path = tmp_path / "systemd" / "user", tmp_path / "config.yaml"
    assert list(units(config, path, folder).values()) == [True]  # none is installed
    folder.mkdir(parents=True)
    order = Order(Scope.USER, False, config, path, running_program())
    (unit,) = render(order, folder)
    unit.path.write_text(unit.content)
    assert list(units(config, path, folder).values()) == [True]
    unit.path.write_text(unit.content.replace("Nice=10", "Nice=0"))
    ((told, ok),) = units(config, path, folder).items()
    assert not ok
    assert told.endswith(f"--config {path} install-service --user")


def test_unit_of_another_configuration_is_no_fault(config: Config, tmp_path: Path) -> None:
    (tmp_path / "atelierd.service").write_text("ExecStart=atelierd --config /else.yaml run\n")
    ((told, ok),) = units(config, tmp_path / "config.yaml", tmp_path).items()
    assert ok
    assert "another configuration" in told


def test_place_of_the_log_is_told(config: Config, tmp_path: Path) -> None:
    def told(config: Config, journal: Path) -> str:
        return tried(service.check_log, config, {}, journal).detail

    assert "is kept on disk" in told(config, tmp_path)
    assert "lost at each boot" in told(config, tmp_path / "gone")
    assert f"{config.state}/log/atelierd.log" in told(config, tmp_path)
    quiet = config.model_copy(update={"log": Log(file=None)})
    assert told(quiet, tmp_path).startswith("standard error; ")


def test_log_that_cannot_be_written_is_told(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)
    found = tried(service.check_log, config, {}, tmp_path)
    assert (found.ok, str(tmp_path) in found.detail) == (False, True)


def test_findings_are_json_for_machines(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("devices: cpu\n")
    code = answer(["--config", str(path), "doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert findings[0] == {"what": "config", "ok": True, "detail": str(path)}
    assert code == int(any(not finding["ok"] for finding in findings))
