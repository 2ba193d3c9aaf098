"""Units of a node and of a scheduler, with the paths of an installation."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.install.fleet import NodeOrder, SchedulerOrder, scheduler_listens
from daemon.install.render import Order, Program, Scope, render
from daemon.install.write import Written, again, next_steps, notices, service_files
from daemon.settings.address import Address
from daemon.settings.fleet import FleetSettings, NodeSettings
from tests.unit.install.test_render import UNITS, analyze, needs_systemd, values

FILES = {"ca": "ca.pem", "cert": "node.pem", "key": "node.key", "folder": "cache"}


def node_at(place: Path) -> NodeSettings:
    return NodeSettings.model_validate(
        {"scheduler": "tls://studio:8786", "name": "desk2"}
    ).model_copy(update={key: place / name for key, name in FILES.items()})


@pytest.fixture
def node(order: Order) -> NodeOrder:
    place = Path("/data/node")
    return NodeOrder(Scope.SYSTEM, node_at(place), place / "node.yaml", order.program)


@pytest.fixture
def scheduler(order: Order) -> SchedulerOrder:
    return SchedulerOrder(order.config, order.config_file, order.program, Address("0.0.0.0", 9000))


def fleet_order(order: Order, **fleet: Any) -> Order:
    """The service's, with a fleet."""
    told = FleetSettings.model_validate(fleet)
    return dataclasses.replace(order, config=order.config.model_copy(update={"fleet": told}))


@needs_systemd
@pytest.mark.parametrize("name", ["atelierd-node.service", "atelierd-scheduler.service"])
def test_systemd_finds_nothing_wrong_with_the_units_as_they_come(name: str) -> None:
    assert analyze("verify", UNITS / name) == ""


@needs_systemd
@pytest.mark.parametrize(
    ("name", "most"), [("atelierd-node.service", 1.3), ("atelierd-scheduler.service", 1.1)]
)
def test_unit_is_exposed_no_more_than_it_must(name: str, most: float) -> None:
    said = analyze("security", "--offline=true", "--no-pager", UNITS / name)
    found = re.search(r"exposure level for \S+: ([\d.]+)", said)
    assert found is not None, said
    assert float(found.group(1)) <= most


def test_node_is_let_at_its_own_folder_alone(node: NodeOrder) -> None:
    text = service_files(node)[0].content
    assert values(text, "ExecStart") == [":/opt/a/bin/atelierd --config /data/node/node.yaml node"]
    assert values(text, "ReadWritePaths") == ["-/data/node/cache"]
    assert values(text, "ReadOnlyPaths") == ["-/data/node/node.yaml -/data/node/node.key"]
    assert values(text, "StateDirectory") == []
    needed = "/data/node/ca.pem /data/node/cache /data/node/node.key /data/node/node.pem"
    assert values(text, "RequiresMountsFor") == [f"{needed} /data/node/node.yaml /opt/a /usr"]


def test_node_comes_back_after_anything_but_a_wrong_setting(node: NodeOrder) -> None:
    text = service_files(node)[0].content
    assert values(text, "Restart") == ["always"]
    assert values(text, "RestartPreventExitStatus") == ["78"]
    assert values(text, "KillSignal") == ["SIGTERM"]
    assert values(text, "KillMode") == ["mixed"]  # its workers are its own to drain
    assert int(values(text, "TimeoutStopSec")[0]) >= 300


def test_usual_folder_of_a_node_is_systemds(node: NodeOrder) -> None:
    usual = node.settings.model_copy(update={"folder": Path("/var/lib/atelierd-node")})
    text = service_files(dataclasses.replace(node, settings=usual))[0].content
    assert values(text, "StateDirectory") == ["atelierd-node"]


def test_node_comes_with_the_user_and_its_folder_and_nothing_of_the_service(
    node: NodeOrder,
) -> None:
    unit, user, folders = service_files(node)
    assert unit.path == Path("/etc/systemd/system/atelierd-node.service")
    assert user.path == Path("/etc/sysusers.d/atelierd.conf")
    assert folders.path == Path("/etc/tmpfiles.d/atelierd-node.conf")
    assert folders.content == "d /data/node/cache :0700 :atelierd :atelierd -\n"


def test_node_of_a_user_needs_no_rights(node: NodeOrder) -> None:
    mine = dataclasses.replace(node, scope=Scope.USER)
    (unit,) = service_files(mine, {"XDG_CONFIG_HOME": "/home/anna/settings"})
    assert unit.path == Path("/home/anna/settings/systemd/user/atelierd-node.service")
    assert values(unit.content, "WantedBy") == ["default.target"]
    for key in ("User", "ProtectSystem", "ReadWritePaths", "StateDirectory", "ExecStartPre"):
        assert values(unit.content, key) == [], key


def test_steps_of_a_node(node: NodeOrder) -> None:
    unit = Written(Path("/x/atelierd-node.service"), "changed")
    steps = [step.removeprefix("sudo ") for step in next_steps(node, [unit])]
    assert steps == [
        "systemd-sysusers /etc/sysusers.d/atelierd.conf",
        "systemd-tmpfiles --create /etc/tmpfiles.d/atelierd-node.conf",
        "systemctl daemon-reload",
        "systemctl enable --now atelierd-node.service",
        "systemctl try-restart atelierd-node.service",
        "systemctl status atelierd-node.service",
    ]
    assert again(node).endswith("--config /data/node/node.yaml install-service --node --system")


def test_key_that_the_nodes_user_may_not_read_is_told(node: NodeOrder, tmp_path: Path) -> None:
    (tmp_path / "node.key").touch(0o600)
    told = "".join(notices(dataclasses.replace(node, settings=node_at(tmp_path))))
    key = tmp_path / "node.key"
    assert f"may not read {key}: chown atelierd:atelierd {key}" in told


def test_scheduler_is_a_user_of_its_own_who_sees_nothing_of_the_service(
    scheduler: SchedulerOrder,
) -> None:
    (unit,) = service_files(scheduler)
    assert unit.path == Path("/etc/systemd/system/atelierd-scheduler.service")
    assert values(unit.content, "DynamicUser") == ["yes"]
    assert values(unit.content, "LoadCredential") == [
        "ca.pem:/data/state/fleet/ca.pem",
        "scheduler.pem:/data/state/fleet/scheduler.pem",
        "scheduler.key:/data/state/fleet/scheduler.key",
    ]
    assert values(unit.content, "ExecStart") == [
        ":/opt/a/bin/atelierd fleet scheduler --folder %d --listen 0.0.0.0:9000"
    ]
    hidden = "-/data/config.yaml -/data/in -/data/out -/data/presets -/data/state"
    assert values(unit.content, "InaccessiblePaths") == [hidden]
    assert values(unit.content, "ReadWritePaths") == []
    assert scheduler.accounts() == []


def test_scheduler_that_nobody_would_use_is_told(scheduler: SchedulerOrder, order: Order) -> None:
    assert "fleet: {scheduler: 'tls://127.0.0.1:9000'}" in "".join(notices(scheduler))
    used = fleet_order(order, scheduler="tls://studio:9000")
    told = dataclasses.replace(scheduler, config=used.config)
    assert "fleet:" not in "".join(notices(told))
    assert scheduler_listens(used.config) == Address("0.0.0.0", 9000)
    assert scheduler_listens(order.config) == Address("0.0.0.0", 8786)


@pytest.mark.parametrize(("nightly", "shut"), [(False, "IPAddressDeny"), (True, "PrivateNetwork")])
def test_service_with_a_fleet_may_be_reached_by_it(order: Order, nightly: bool, shut: str) -> None:
    order = dataclasses.replace(order, nightly=nightly)
    assert values(render(order, Path("/x"))[0].content, shut)
    fleet = fleet_order(order, embedded=True)
    text = render(fleet, Path("/x"))[0].content
    for key in ("IPAddressDeny", "IPAddressAllow", "PrivateNetwork"):
        assert values(text, key) == [], key
    assert "AF_INET" in values(text, "RestrictAddressFamilies")[0]
    assert "nodes of the fleet reach the service" in "".join(notices(fleet))


def test_certificates_in_a_home_are_shown_to_the_service(order: Order) -> None:
    place = Path("/root/certificates")
    pair = {"ca": "ca.pem", "cert": "service.pem", "key": "service.key"}
    told = {key: str(place / name) for key, name in pair.items()}
    text = render(fleet_order(order, embedded=True, **told), Path("/x"))[0].content
    assert values(text, "BindReadOnlyPaths") == [
        "/root/certificates/ca.pem /root/certificates/service.key /root/certificates/service.pem"
    ]


ODD = st.text("aé %$\"'\\;#=-,!@{}~&*", min_size=1, max_size=12).map(lambda text: f"x{text}y")


@needs_systemd
@given(name=ODD)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize("kind", ["node", "scheduler"])
def test_systemd_understands_any_path(order: Order, tmp_path: Path, kind: str, name: str) -> None:
    place = tmp_path / name
    command = place / "bin" / "atelierd"
    command.parent.mkdir(parents=True, exist_ok=True)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    program = Program((command,), (place,))
    config = order.config.model_copy(update={"state": place / "state"})
    odd: NodeOrder | SchedulerOrder = NodeOrder(
        Scope.SYSTEM, node_at(place), place / "node.yaml", program
    )
    if kind == "scheduler":
        odd = SchedulerOrder(config, place / "config.yaml", program, Address("::", 8786))
    (unit, *_) = odd.files(tmp_path / "units")
    unit.path.parent.mkdir(exist_ok=True)
    unit.path.write_text(unit.content)
    assert analyze("verify", unit.path) == ""
