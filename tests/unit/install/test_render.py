"""Units with the paths of an installation, as systemd itself reads them."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.errors import SurroundingsError
from daemon.install.render import (
    Order,
    Program,
    Scope,
    accounts,
    adaptations,
    names,
    render,
    running_program,
    template,
)
from daemon.settings.config import Log
from daemon.settings.page import PageSettings

ANALYZE = shutil.which("systemd-analyze")
UNITS = Path(__file__).parents[3] / "systemd"
CLASSES = [(scope, nightly) for scope in Scope for nightly in (False, True)]
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze here")


def values(text: str, key: str) -> list[str]:
    """The values of a directive."""
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def unit(order: Order, folder: Path = Path("/x")) -> str:
    """The unit that runs the program."""
    return render(order, folder)[0].content


def moved(order: Order, **paths: str) -> Order:
    """The order with other folders."""
    update = {name: Path(path) for name, path in paths.items()}
    return dataclasses.replace(order, config=order.config.model_copy(update=update))


def analyze(*arguments: str | Path) -> str:
    """What systemd-analyze prints; it succeeds with misspelt keys too."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": tempfile.gettempdir()}
    ended = subprocess.run(
        [ANALYZE or "", *arguments], capture_output=True, text=True, check=False, env=environment
    )
    return ended.stdout + ended.stderr


@needs_systemd
@pytest.mark.parametrize(
    "name", ["atelierd.service", "atelierd-nightly.service", "atelierd-page.service"]
)
def test_systemd_finds_nothing_wrong_with_the_units_as_they_come(name: str) -> None:
    assert analyze("verify", UNITS / name) == ""


@needs_systemd
@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("atelierd.service", 1.8),
        ("atelierd-nightly.service", 1.0),
        ("atelierd-page.service", 1.3),
    ],
)
def test_unit_is_exposed_no_more_than_it_must(name: str, most: float) -> None:
    said = analyze("security", "--offline=true", "--no-pager", UNITS / name)
    found = re.search(r"exposure level for \S+: ([\d.]+)", said)
    assert found is not None, said
    assert float(found.group(1)) <= most


@pytest.mark.parametrize("name", ["atelierd.service", "atelierd-nightly.service"])
@pytest.mark.parametrize(
    "breaks", ["PrivateDevices=yes", "MemoryDenyWriteExecute=yes", "ProcSubset=pid"]
)
def test_what_breaks_torch_is_left_out_with_its_reason(name: str, breaks: str) -> None:
    text = (UNITS / name).read_text()
    key, _, value = breaks.partition("=")
    assert value not in values(text, key)
    assert re.search(rf"^# {breaks}\b", text, re.MULTILINE)


def test_unit_of_the_system_names_the_paths_of_this_installation(order: Order) -> None:
    text = unit(order)
    assert values(text, "ExecStart") == [":/opt/a/bin/atelierd --config /data/config.yaml run"]
    assert values(text, "ReadWritePaths") == ["-/data/in -/data/out -/data/state"]
    assert values(text, "ReadOnlyPaths") == ["-/data/config.yaml -/data/presets"]
    needed = "/data/config.yaml /data/presets /data/state /opt/a /usr"
    assert values(text, "RequiresMountsFor") == [needed]
    assert values(text, "Environment") == [
        '"PATH=/opt/a/bin:/usr/local/bin:/usr/bin:/bin" CUDA_CACHE_PATH=%C/atelierd/cuda'
    ]
    assert values(text, "ProtectHome") == ["yes"]
    assert list(adaptations(order)) == []


def test_unit_of_the_night_ends_in_the_morning(order: Order) -> None:
    order = dataclasses.replace(order, nightly=True)
    service, timer = render(order, Path("/x"))
    assert names(order) == ("atelierd-nightly.service", "atelierd-nightly.timer")
    assert values(service.content, "ExecStart") == [
        ":/opt/a/bin/atelierd --config /data/config.yaml run --once --until 06:00"
    ]
    assert values(timer.content, "Persistent") == ["false"]
    assert values(timer.content, "OnCalendar") == ["*-*-* 22:00"]


def test_page_has_a_unit_where_config_yaml_has_one(order: Order) -> None:
    assert [file.path.name for file in render(order, Path("/x"))] == ["atelierd.service"]

    def served(**settings: bool) -> str:
        page = PageSettings(**settings)
        config = order.config.model_copy(update={"page": page})
        units = render(dataclasses.replace(order, config=config), Path("/x"))
        assert [file.path.name for file in units] == ["atelierd.service", "atelierd-page.service"]
        assert values(units[0].content, "ReadOnlyPaths") == ["-/data/config.yaml -/data/presets"]
        return units[1].content

    text = served()
    assert values(text, "ExecStart") == [":/opt/a/bin/atelierd --config /data/config.yaml page"]
    assert values(text, "ReadOnlyPaths") == ["-/data/config.yaml -/data/presets"]
    assert values(text, "ReadWritePaths") == ["-/data/in -/data/out -/data/state"]
    text = served(presets=True)
    assert values(text, "ReadOnlyPaths") == ["-/data/config.yaml"]
    assert values(text, "ReadWritePaths") == ["-/data/in -/data/out -/data/state -/data/presets"]


def test_both_shared_folders_are_one_where_originals_can_then_be_renamed(order: Order) -> None:
    usual = moved(order, inbox="/srv/atelierd/inbox", outbox="/srv/atelierd/outbox")
    assert values(unit(usual), "ReadWritePaths") == ["-/srv/atelierd -/data/state"]


def test_folder_of_a_log_file_is_writable_unless_systemd_makes_it(order: Order) -> None:
    def logging_to(path: str) -> Order:
        config = order.config.model_copy(update={"log": Log.model_validate({"file": path})})
        return dataclasses.replace(order, config=config)

    usual = values(unit(order), "ReadWritePaths")
    assert values(unit(logging_to("/var/log/atelierd/it.log")), "ReadWritePaths") == usual
    (found,) = values(unit(logging_to("/data/log/it.log")), "ReadWritePaths")
    assert found.endswith(" -/data/log")


def test_state_folder_is_systemds_only_where_it_is_the_usual_one(order: Order) -> None:
    assert values(unit(order), "StateDirectory") == []
    assert values(unit(moved(order, state="/var/lib/atelierd")), "StateDirectory") == ["atelierd"]


def test_program_in_a_home_is_shown_alone(order: Order) -> None:
    program = Program((Path("/root/v/bin/atelierd"),), (Path("/root/v"), Path("/usr")))
    order = dataclasses.replace(order, program=program)
    text = unit(order)
    assert values(text, "ProtectHome") == ["tmpfs"]
    assert values(text, "BindReadOnlyPaths") == ["/root/v"]
    assert "/root/v lies in a home" in "".join(adaptations(order))


def test_inbox_in_a_home_leaves_homes_readable_and_says_so(order: Order) -> None:
    order = moved(order, inbox="/home/anna/photos")
    assert values(unit(order), "ProtectHome") == ["read-only"]
    assert "move it to /srv" in "".join(adaptations(order))


def test_folder_in_tmp_is_told(order: Order) -> None:
    told = "".join(adaptations(moved(order, inbox="/tmp/photos")))
    assert "/tmp/photos lies in /tmp" in told


def test_unit_of_a_user_has_nothing_his_manager_cannot_apply(order: Order) -> None:
    text = unit(dataclasses.replace(order, scope=Scope.USER))
    assert values(text, "WantedBy") == ["default.target"]
    for key in ("User", "CapabilityBoundingSet", "ProtectSystem", "DeviceAllow", "StateDirectory"):
        assert values(text, key) == [], key
    assert values(text, "NoNewPrivileges") == ["yes"]
    assert values(text, "SystemCallFilter") == ["@system-service", "~@privileged @resources"]


def test_folders_that_are_there_keep_their_rights(order: Order) -> None:
    _, folders = accounts(order)
    assert folders.path == Path("/etc/tmpfiles.d/atelierd.conf")
    rows = [row for row in folders.content.splitlines() if not row.startswith("#")]
    assert rows == [
        "d /data/in :2770 :atelierd :atelierd -",
        "d /data/out :2770 :atelierd :atelierd -",
        "d /data/state :0750 :atelierd :atelierd -",
    ]


def test_running_program_names_all_it_is_read_from() -> None:
    program = running_program()
    here = Path(__file__).parents[3]
    for folder in (here, Path(sys.prefix), Path(sys.base_prefix)):
        assert any(folder.is_relative_to(one) for one in program.folders), folder
    assert Path(str(program.command[0])).exists()


ODD = st.text("aé %$\"'\\;#:=-,!@{}~&*", min_size=1, max_size=12).map(lambda text: f"x{text}y")


@needs_systemd
@given(name=ODD)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize(("scope", "nightly"), CLASSES)
def test_systemd_understands_any_path(
    order: Order, tmp_path: Path, scope: Scope, nightly: bool, name: str
) -> None:
    place = tmp_path / name
    command = place / "bin" / "atelierd"
    command.parent.mkdir(parents=True, exist_ok=True)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    paths: dict[str, Any] = {key: str(place / key) for key in ("inbox", "outbox", "state")}
    config = moved(order, presets=f"/root/{name}", **paths).config
    odd = dataclasses.replace(
        order,
        config=config.model_copy(update={"page": PageSettings()}),
        scope=scope,
        nightly=nightly,
        config_file=place / "config.yaml",
        program=Program((command,), (place,)),
    )
    written = render(odd, tmp_path / "units")
    written[0].path.parent.mkdir(exist_ok=True)
    for file in written:
        file.path.write_text(file.content)
    manager = ["--user"] if scope is Scope.USER else []
    services = [file.path for file in written if file.path.suffix == ".service"]
    assert any("page" in service.name for service in services)
    assert analyze(*manager, "verify", *services) == ""


def test_a_wheel_brings_the_templates_where_they_are_looked_for() -> None:
    build = tomllib.loads((UNITS.parent / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["force-include"] == {"systemd": "daemon/install/templates"}
    packaged = UNITS.parent / "daemon" / "install" / "templates"
    assert not packaged.exists()  # `systemd/` is the one source
    for name in ("atelierd.service", "atelierd-nightly.timer", "atelierd.tmpfiles.conf"):
        assert template(name) == (UNITS / name).read_text()


def test_template_that_is_not_there_is_told() -> None:
    with pytest.raises(SurroundingsError, match="install atelierd anew"):
        template("gone.service")
