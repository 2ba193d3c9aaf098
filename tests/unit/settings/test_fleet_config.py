"""The fleet's section and node.yaml: what may stand there, and where everything is."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import ConfigError
from daemon.messages import known, plain
from daemon.settings import fleet
from daemon.settings.config import Config, check_guarded, load_config
from daemon.settings.fleet import FleetPlace, check_fleet, check_node, load_node

Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str) -> Config:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return load_config(path)

    return load


def place(config: Config) -> FleetPlace:
    assert config.fleet is not None
    return config.fleet.place(config.state)


def faults(caught: pytest.ExceptionInfo[ConfigError]) -> dict[str, str]:
    return {fault.key: fault.message for fault in caught.value.faults}


def test_embedded_scheduler_has_its_pair_in_the_state_folder(load: Load, tmp_path: Path) -> None:
    where, folder = place(load("fleet: {embedded: true}\n")), tmp_path / "state" / "fleet"
    assert (where.scheduler, where.listen) == ("tls://127.0.0.1:8786", "0.0.0.0:8786")
    assert (where.ca, where.cert, where.key) == tuple(
        folder / name for name in ("ca.pem", "service.pem", "service.key")
    )
    assert where.scheduler_cert == folder / "scheduler.pem"
    assert where.scheduler_key == folder / "scheduler.key"
    assert where.files == "0.0.0.0:8787"
    assert where.files_url == f"https://{socket.gethostname()}:8787"


def test_scheduler_elsewhere_has_no_pair_here(load: Load) -> None:
    where = place(load("fleet: {scheduler: 'tls://studio:8786'}\n"))
    assert (where.scheduler, where.listen) == ("tls://studio:8786", "")
    assert (where.scheduler_cert, where.scheduler_key) == (None, None)


def test_place_comes_through_plain_data_as_it_was(load: Load) -> None:
    for text in ("fleet: {embedded: true}\n", "fleet: {scheduler: 'tls://studio:8786'}\n"):
        where = place(load(text))
        assert known(FleetPlace, plain(where)) == where


def test_certificates_are_relative_to_the_file(load: Load, tmp_path: Path) -> None:
    where = place(load("fleet: {embedded: true, ca: pairs/ca.pem, cert: /srv/s.pem, key: ../k}\n"))
    assert where.ca == tmp_path / "pairs" / "ca.pem"
    assert (where.cert, where.key) == (Path("/srv/s.pem"), tmp_path.parent / "k")


@pytest.mark.parametrize(
    ("listen", "scheduler"),
    [
        ("'[::]:9000'", "tls://[::1]:9000"),
        ("192.0.2.7:9000", "tls://192.0.2.7:9000"),  # who listens there alone, hears nothing else
        ("':9000'", "tls://localhost:9000"),
    ],
)
def test_service_asks_its_scheduler_where_that_listens(
    load: Load, listen: str, scheduler: str
) -> None:
    assert place(load(f"fleet: {{embedded: true, listen: {listen}}}\n")).scheduler == scheduler


def test_files_are_reached_where_the_file_says_or_they_are_served(load: Load) -> None:
    text = "fleet: {{embedded: true, {}}}\n"
    at_one = place(load(text.format("files: 192.0.2.7:9001")))
    assert at_one.files_url == "https://192.0.2.7:9001"
    told = place(load(text.format("files_url: 'https://gate.example:443/'")))
    assert (told.files, told.files_url) == ("0.0.0.0:8787", "https://gate.example:443")


@pytest.mark.parametrize(
    "section", ["{}", "{embedded: false}", "{embedded: true, scheduler: 'tls://studio:8786'}"]
)
def test_fleet_has_one_scheduler(load: Load, section: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"fleet: {section}\n")
    assert "one of them" in faults(caught)["fleet"]


def test_address_of_somebody_elses_scheduler_is_not_ours_to_choose(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("fleet: {scheduler: 'tls://studio:8786', listen: '0.0.0.0:1'}\n")
    assert "`listen` is for `embedded: true`" in faults(caught)["fleet"]


@pytest.mark.parametrize(
    "scheduler", ["tcp://studio:8786", "studio:8786", "tls://studio", "tls://:8786", "tls://s:0"]
)
def test_scheduler_is_reached_by_tls_only(load: Load, scheduler: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"fleet: {{scheduler: '{scheduler}'}}\n")
    (message,) = faults(caught).values()
    assert message.startswith("must be tls://HOST:PORT such as tls://studio:8786, not")


@pytest.mark.parametrize(
    "url", ["http://studio:8787", "studio:8787", "https://", "https://a/b", "https://u:p@a:1"]
)
def test_files_are_reached_by_tls_only(load: Load, url: str) -> None:
    with pytest.raises(ConfigError, match="must be https://HOST:PORT"):
        load(f"fleet: {{embedded: true, files_url: '{url}'}}\n")


def test_no_device_here_needs_a_fleet(load: Load) -> None:
    assert load("devices: none\nfleet: {embedded: true}\n").devices == "none"
    with pytest.raises(ConfigError) as caught:
        load("devices: none\n")
    assert faults(caught) == {"devices": "is for a service whose pictures a `fleet:` paints"}


def make_pairs(where: FleetPlace) -> None:
    for path in filter(None, (where.ca, where.cert, where.scheduler_cert)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("certificate")
    for path in filter(None, (where.key, where.scheduler_key)):
        path.write_text("key")
        path.chmod(0o600)


def test_certificates_that_are_missing_are_all_told_with_what_makes_them(
    load: Load, tmp_path: Path
) -> None:
    where = place(load("fleet: {embedded: true}\n"))
    with pytest.raises(ConfigError) as caught:
        check_fleet(where, tmp_path / "config.yaml")
    names = {Path(fault.file).name for fault in caught.value.faults}
    assert names == {"ca.pem", "service.pem", "service.key", "scheduler.pem", "scheduler.key"}
    assert all("make it with: atelierd fleet certificates" in str(f) for f in caught.value.faults)
    make_pairs(where)
    check_fleet(where, tmp_path / "config.yaml")


def test_key_that_others_may_read_is_refused(load: Load, tmp_path: Path) -> None:
    where = place(load("fleet: {embedded: true}\n"))
    make_pairs(where)
    where.key.chmod(0o644)
    with pytest.raises(ConfigError, match=r"service\.key:1: others may read this key"):
        check_fleet(where, tmp_path / "config.yaml")


def test_missing_extra_is_told_with_what_installs_it(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = place(load("fleet: {embedded: true}\n"))
    make_pairs(where)
    monkeypatch.setattr(fleet, "EXTRA", ("cryptography", "no_such_package"))
    with pytest.raises(ConfigError, match=r"no_such_package.*pip install 'atelierd\[fleet\]'"):
        check_fleet(where, tmp_path / "config.yaml")


@pytest.fixture
def node_file(tmp_path: Path) -> Path:
    path = tmp_path / "nodes" / "desk2" / "node.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("scheduler: tls://studio:8786\nname: desk2\n")
    return path


def test_node_needs_only_the_schedulers_address(node_file: Path) -> None:
    node, folder = load_node(node_file), node_file.parent
    assert (node.scheduler, node.name) == ("tls://studio:8786", "desk2")
    assert (node.ca, node.cert, node.key, node.folder) == tuple(
        folder / name for name in ("ca.pem", "node.pem", "node.key", "cache")
    )
    assert (node.cache, node.devices, node.memory, node.threads) == (
        20 << 30,
        "auto",
        "auto",
        "auto",
    )
    assert (node.tags, node.yield_gpu_when, node.address) == ((), None, None)


def test_node_without_a_name_has_its_hosts(
    node_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node_file.write_text("scheduler: tls://studio:8786\n")
    monkeypatch.setattr(socket, "gethostname", lambda: "desk-7.example")
    assert load_node(node_file).name == "desk-7.example"
    monkeypatch.setattr(socket, "gethostname", lambda: "der Schreibtisch")
    with pytest.raises(ConfigError, match="name: must have at most 63 letters, digits"):
        load_node(node_file)


def test_node_is_read_from_the_folder_one_is_in(
    node_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(node_file.parent)
    assert load_node(Path("node.yaml")).ca == node_file.parent / "ca.pem"


def test_every_fault_of_a_node_is_told_with_its_line(node_file: Path) -> None:
    node_file.write_text("name: a/b\ndevices: gpu\ntags: [studio, 'a b']\ncache: 5\ncolour: red\n")
    with pytest.raises(ConfigError) as caught:
        load_node(node_file)
    assert [(fault.line, fault.key) for fault in caught.value.faults] == [
        (1, "scheduler"),
        (1, "name"),
        (2, "devices"),
        (3, "tags[1]"),
        (4, "cache"),
        (5, "colour"),
    ]


@pytest.mark.parametrize("text", ["name: local", "tags: [fast, cuda]", "name: cpu"])
def test_words_that_presets_mean_devices_by_are_no_names(node_file: Path, text: str) -> None:
    node_file.write_text(f"scheduler: tls://studio:8786\n{text}\n")
    with pytest.raises(ConfigError, match=r"must not be '(local|cuda|cpu)'"):
        load_node(node_file)


@pytest.mark.parametrize(
    ("address", "first", "second"),
    [
        ("desk2", ("desk2", 0), ("desk2", 0)),
        ("desk2:9000", ("desk2", 9000), ("desk2", 9001)),
        ("192.0.2.7", ("192.0.2.7", 0), ("192.0.2.7", 0)),
        ("'[2001:db8::7]:9000'", ("2001:db8::7", 9000), ("2001:db8::7", 9001)),
        ("'2001:db8::7'", ("2001:db8::7", 0), ("2001:db8::7", 0)),
        ("null", ("", 0), ("", 0)),
    ],
)
def test_devices_of_a_node_are_reached_at_a_host_or_at_ports_in_a_row(
    node_file: Path, address: str, first: tuple[str, int], second: tuple[str, int]
) -> None:
    node_file.write_text(f"scheduler: tls://studio:8786\naddress: {address}\n")
    node = load_node(node_file)
    assert (node.reached_at(0), node.reached_at(1)) == (first, second)


@pytest.mark.parametrize(
    "address", ["'a b'", "':9000'", "desk2:0", "tls://desk2", "''", "desk2:x", "d:70000"]
)
def test_address_that_is_none_is_told(node_file: Path, address: str) -> None:
    node_file.write_text(f"scheduler: tls://studio:8786\naddress: {address}\n")
    with pytest.raises(ConfigError, match="must be the host, or HOST:PORT"):
        load_node(node_file)


def test_node_without_its_files_says_what_to_type_and_where(node_file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check_node(load_node(node_file), node_file)
    assert len(caught.value.faults) == 3
    assert "atelierd fleet certificates desk2, where the service is; then copy nodes/desk2" in str(
        caught.value
    )


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_certificate_that_may_not_be_read_is_told(load: Load, tmp_path: Path) -> None:
    where = place(load("fleet: {embedded: true}\n"))
    make_pairs(where)
    where.key.chmod(0o000)
    with pytest.raises(ConfigError, match=r"service\.key:1: cannot be read: Permission denied"):
        check_fleet(where, tmp_path / "config.yaml")


def test_authority_that_anybody_may_change_is_not_obeyed(load: Load, tmp_path: Path) -> None:
    config = load("fleet: {embedded: true}\n")
    (tmp_path / "presets").mkdir()
    make_pairs(place(config))
    check_guarded(config, tmp_path / "config.yaml")
    place(config).ca.chmod(0o666)
    with pytest.raises(ConfigError, match=r"ca\.pem:1: everybody may write here"):
        check_guarded(config, tmp_path / "config.yaml")


def test_node_that_anybody_may_change_does_not_start(node_file: Path) -> None:
    node = load_node(node_file)
    for path in (node.ca, node.cert, node.key):
        path.write_text("x")
        path.chmod(0o600)
    check_node(node, node_file)
    node_file.parent.chmod(0o777)
    with pytest.raises(ConfigError, match="everybody may write here") as caught:
        check_node(node, node_file)
    assert [fault.file for fault in caught.value.faults] == [str(node_file.parent)]
