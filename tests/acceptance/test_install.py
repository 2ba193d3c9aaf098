"""install-service, as it is typed."""

import os
from pathlib import Path

import pytest

from tests.support.atelier import Studio


@pytest.fixture
def units(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a user's units go."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(studio.root / "settings"))
    return studio.root / "settings" / "systemd" / "user"


def test_install_for_oneself_writes_a_unit_and_says_what_to_type(
    studio: Studio, units: Path
) -> None:
    answer = studio.run("install-service", "--user")
    assert answer.returncode == 0, answer.stderr
    text = (units / "atelierd.service").read_text()
    assert f"--config {studio.config_file} run\n" in text
    assert "systemctl --user enable --now atelierd.service" in answer.stdout
    assert "loginctl enable-linger" in answer.stdout
    again = studio.run("install-service", "--user")
    assert again.stdout.startswith("unchanged")
    assert [path.name for path in units.iterdir()] == ["atelierd.service"]


def test_dry_run_shows_every_file_and_writes_none(studio: Studio, units: Path) -> None:
    answer = studio.run("install-service", "--system", "--nightly", "--dry-run")
    assert answer.returncode == 0, answer.stderr
    assert [line for line in answer.stdout.splitlines() if line.startswith("--- ")] == [
        "--- /etc/systemd/system/atelierd-nightly.service",
        "--- /etc/systemd/system/atelierd-nightly.timer",
        "--- /etc/sysusers.d/atelierd.conf",
        "--- /etc/tmpfiles.d/atelierd.conf",
    ]
    assert "next, type" not in answer.stdout
    assert studio.run("install-service", "--user", "--dry-run").returncode == 0
    assert not units.exists()


def test_wrong_configuration_is_not_installed(studio: Studio, units: Path) -> None:
    studio.configure(colour="red")
    answer = studio.run("install-service", "--user")
    assert answer.returncode == 78
    assert "colour" in answer.stderr
    assert not units.exists()


def test_what_anybody_may_change_is_not_installed(studio: Studio, units: Path) -> None:
    studio.config_file.chmod(0o666)
    assert studio.run("install-service", "--user").returncode == 78
    assert not units.exists()


@pytest.mark.parametrize("options", [[], ["--user", "--system"]])
def test_install_asks_for_whom(studio: Studio, options: list[str]) -> None:
    answer = studio.run("install-service", *options)
    assert answer.returncode == 2
    assert "either --system or --user" in answer.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_without_rights_it_says_what_to_type(studio: Studio) -> None:
    answer = studio.run("install-service", "--system")
    assert answer.returncode == 1
    assert f"--config {studio.config_file} install-service --system" in answer.stderr


def test_doctor_tells_a_unit_that_differs(studio: Studio, units: Path) -> None:
    assert studio.run("install-service", "--user").returncode == 0
    assert studio.run("doctor").returncode == 0
    unit = units / "atelierd.service"
    unit.write_text(unit.read_text() + "Nice=5\n")
    answer = studio.run("doctor")
    assert answer.returncode == 1
    assert "not what this atelierd would install" in answer.stdout
