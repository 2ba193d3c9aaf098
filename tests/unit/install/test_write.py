"""What install-service leaves, and what it says."""

import dataclasses
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.install import write
from daemon.install.render import File, Order, Scope
from daemon.install.write import (
    next_steps,
    notices,
    service_files,
    write_files,
)


@pytest.fixture
def narrow_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def hows(order: Order, *files: File) -> list[str]:
    return [done.how for done in write_files(order, files)]


def test_written_twice_changes_nothing(order: Order, tmp_path: Path) -> None:
    file = File(tmp_path / "new" / "a.service", "[Unit]\n")
    assert hows(order, file) == ["new"]
    before = file.path.stat()
    assert hows(order, file) == ["unchanged"]
    assert file.path.stat() == before
    assert [path.name for path in file.path.parent.iterdir()] == ["a.service"]


def test_what_was_there_is_kept_as_old(order: Order, tmp_path: Path) -> None:
    path = tmp_path / "a.service"
    path.write_text("mine")
    (done,) = write_files(order, [File(path, "theirs")])
    assert (done.how, done.kept) == ("changed", tmp_path / "a.service.old")
    assert (path.read_text(), (tmp_path / "a.service.old").read_text()) == ("theirs", "mine")


def test_units_can_be_read_by_all_whatever_the_umask(
    order: Order, tmp_path: Path, narrow_umask: None
) -> None:
    write_files(order, [File(tmp_path / "a.service", "[Unit]\n")])
    assert (tmp_path / "a.service").stat().st_mode & 0o777 == 0o644


def test_without_rights_nothing_is_written_and_the_command_is_told(
    order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "may_write", lambda path: path.name != "b")
    order = dataclasses.replace(order, nightly=True, config_file=Path("/data/my config.yaml"))
    with pytest.raises(SurroundingsError) as told:
        write_files(order, [File(tmp_path / "a", ""), File(tmp_path / "b", "")])
    assert str(told.value).startswith(f"{tmp_path / 'b'} cannot be written by user ")
    assert str(told.value).endswith(
        "type: sudo /opt/a/bin/atelierd --config '/data/my config.yaml' install-service "
        "--system --nightly"
    )
    assert list(tmp_path.iterdir()) == []


def test_folder_in_a_files_place_is_told(order: Order, tmp_path: Path) -> None:
    (tmp_path / "a.service").mkdir()
    with pytest.raises(SurroundingsError, match=r"a\.service cannot be written: Is a directory"):
        write_files(order, [File(tmp_path / "a.service", "")])


def test_system_service_comes_with_its_user_and_folders(order: Order) -> None:
    assert [str(file.path) for file in service_files(order, {})] == [
        "/etc/systemd/system/atelierd.service",
        "/etc/sysusers.d/atelierd.conf",
        "/etc/tmpfiles.d/atelierd.conf",
    ]


def test_users_service_lies_where_his_manager_looks(order: Order) -> None:
    order = dataclasses.replace(order, scope=Scope.USER)
    (file,) = service_files(order, {"XDG_CONFIG_HOME": "/home/anna/settings"})
    assert str(file.path) == "/home/anna/settings/systemd/user/atelierd.service"
    (file,) = service_files(order, {"HOME": "/ignored"})
    assert file.path == Path.home() / ".config/systemd/user/atelierd.service"


def test_steps_of_a_system_service(order: Order, tmp_path: Path) -> None:
    done = write_files(order, [File(tmp_path / "atelierd.service", "")])
    steps = [step.removeprefix("sudo ") for step in next_steps(order, done)]
    assert steps == [
        "systemd-sysusers /etc/sysusers.d/atelierd.conf",
        "systemd-tmpfiles --create /etc/tmpfiles.d/atelierd.conf",
        "systemctl daemon-reload",
        "systemctl enable --now atelierd.service",
        "systemctl status atelierd.service",
    ]


def test_unit_that_was_replaced_is_to_be_started_again(order: Order, tmp_path: Path) -> None:
    (tmp_path / "atelierd.service").write_text("old")
    done = write_files(order, [File(tmp_path / "atelierd.service", "new")])
    assert any("try-restart atelierd.service" in step for step in next_steps(order, done))


def test_nightly_asks_to_end_the_day_service_first(order: Order, tmp_path: Path) -> None:
    (tmp_path / "atelierd.service").write_text("day")
    order = dataclasses.replace(order, nightly=True)
    done = write_files(order, [File(tmp_path / "atelierd-nightly.service", "")])
    steps = [step.removeprefix("sudo ") for step in next_steps(order, done)]
    assert steps.index("systemctl disable --now atelierd.service") < steps.index(
        "systemctl enable --now atelierd-nightly.timer"
    )


def test_steps_of_a_user_need_no_root_and_name_lingering(order: Order, tmp_path: Path) -> None:
    order = dataclasses.replace(order, scope=Scope.USER)
    done = write_files(order, [File(tmp_path / "atelierd.service", "")])
    steps = next_steps(order, done)
    assert not any("sudo" in step or "sysusers" in step for step in steps)
    assert "systemctl --user enable --now atelierd.service" in steps
    assert any(step.startswith("loginctl enable-linger ") for step in steps)
    assert any("lingering" in notice for notice in notices(order))


def test_folder_that_the_services_user_may_not_pass_is_told(order: Order, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(0o700)
    config = order.config.model_copy(update={"presets": closed / "presets"})
    told = "".join(notices(dataclasses.replace(order, config=config)))
    assert f"on the way to {closed / 'presets'}: chmod o+x " in told


def test_open_folders_are_not_told(order: Order) -> None:
    assert list(notices(order)) == []


def test_folder_that_the_services_user_may_not_write_in_is_told(
    order: Order, tmp_path: Path
) -> None:
    def told() -> str:
        config = order.config.model_copy(update={"inbox": tmp_path / "inbox"})
        return "".join(notices(dataclasses.replace(order, config=config)))

    wanted = f"may not write in {tmp_path / 'inbox'}: chown atelierd:atelierd "
    assert wanted not in told()  # tmpfiles.d makes it
    (tmp_path / "inbox").mkdir(0o755)
    assert wanted in told()
    (tmp_path / "inbox").chmod(0o777)
    assert wanted not in told()


def test_rights_of_the_services_user_and_its_groups_count(monkeypatch: pytest.MonkeyPatch) -> None:
    account = pwd.struct_passwd(("atelierd", "x", 996, 995, "", "/", "/"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _: account)
    monkeypatch.setattr(os, "getgrouplist", lambda *_: [995, 44])

    def status(mode: int, user: int, group: int) -> os.stat_result:
        return os.stat_result((mode, 0, 0, 1, user, group, 0, 0, 0, 0))

    assert write.granted(status(0o700, 996, 0), write.ENTER)
    assert write.granted(status(0o730, 0, 44), write.WRITE)
    assert not write.granted(status(0o750, 0, 44), write.WRITE)
    assert not write.granted(status(0o770, 0, 0), write.ENTER)
    assert write.granted(status(0o701, 0, 0), write.ENTER)
