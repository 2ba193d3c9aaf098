"""config.yaml: defaults, paths, and every mistake reported at once."""

import errno
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
from pydantic import BaseModel

import daemon
from daemon.errors import ConfigError
from daemon.intake.preset_choice import Naming
from daemon.settings import yamlfile
from daemon.settings.config import Config, check_guarded, find_config, load_config
from daemon.settings.fleet import NodeSettings
from daemon.settings.hooks import Hook
from daemon.settings.machine import check_bytes
from daemon.settings.presets import PresetFile, StyleEntry
from daemon.settings.yamlfile import nested_model

Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str) -> Config:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return load_config(path)

    return load


def messages(caught: pytest.ExceptionInfo[ConfigError]) -> list[str]:
    """Each fault as `line key: message`."""
    return [f"{fault.line} {fault.key}: {fault.message}" for fault in caught.value.faults]


def test_empty_file_gives_the_defaults_beside_it(load: Load, tmp_path: Path) -> None:
    config = load("")
    for name in ("inbox", "outbox", "presets", "state"):
        assert getattr(config, name) == tmp_path / name
    assert config.default_preset is None
    assert (config.settle_s, config.scan_s) == (None, None)
    assert (config.settle_give_up_s, config.sidecar_wait_s) == (600.0, 30.0)
    assert (config.devices, config.weights, config.log_level) == ("auto", "classic", "INFO")
    assert config.limits.picture_pixels == 250_000_000
    assert config.ledger_path.parent == config.engine_folder.parent == tmp_path / "state"


def test_shipped_configuration_is_right() -> None:
    root = Path(__file__).parents[3]
    assert load_config(root / "config.yaml").presets == root / "presets"


def test_relative_paths_are_relative_to_the_file(load: Load, tmp_path: Path) -> None:
    config = load("inbox: in/../drop\noutbox: /srv/out\n")
    assert config.inbox == tmp_path / "drop"
    assert config.outbox == Path("/srv/out")


def test_home_folder_is_expanded(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    assert load("inbox: ~/pictures\n").inbox == Path("/home/anna/pictures")


def test_home_of_nobody_is_a_fault(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("inbox: ~nobody-of-that-name/pictures\n")
    assert messages(caught) == [
        "1 inbox: is in a home folder that is not known: '~nobody-of-that-name/pictures'"
    ]


def test_wrong_types_are_all_reported_at_once_with_their_lines(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(
            "inbox: 5\nsettle_s: soon\ndevices: gpu\nweights: resnet\n"
            "limits:\n  picture_bytes: 1.5\n  picture_pixel: 9\nlog_level: info\ncolour: red\n"
        )
    assert messages(caught) == [
        "1 inbox: must be the path of a folder, not 5",
        "2 settle_s: must be a number, not 'soon'",
        "3 devices: must be auto, cpu, cuda or a list such as [cuda:0, cuda:1], not 'gpu'",
        "4 weights: must be 'classic' or 'torchvision', not 'resnet'",
        "6 limits.picture_bytes: must be a whole number, not 1.5",
        "7 limits.picture_pixel: unknown key; did you mean `picture_pixels`?",
        "8 log_level: must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR', not 'info'",
        f"9 colour: unknown key; known are: {', '.join(Config.model_fields)}",
    ]


VALUES = yamlfile.parse(
    b"""\
all:
  [[1, 2], [], [[a]], {a: 1}, soon, null, yes, 5, -5, 1.5, 0144, 1:03, 2024-01-01, .inf, '', "\\0"]
""",
    "values.yaml",
).data["all"]
JARGON = re.compile(r"tuple|dict|instance|string|integer|valid|Input|Error|None|True|False|ould")


def keys_of(model: type[BaseModel], *sections: str) -> Iterator[tuple[str, ...]]:
    """Every key, behind the sections it stands in."""
    for name, field in model.model_fields.items():
        yield *sections, name
        if (inner := nested_model(field.annotation)) is field.annotation and inner is not None:
            yield from keys_of(inner, *sections, name)


@pytest.mark.parametrize("model", [Config, NodeSettings, PresetFile, StyleEntry, Naming, Hook])
def test_no_message_speaks_of_what_only_programmers_know(model: type[BaseModel]) -> None:
    for *sections, key in keys_of(model):
        for value in VALUES:
            document = yamlfile.Document("f.yaml", {key: value})
            for section in reversed(sections):
                document.data = {section: document.data}
            yamlfile.check(model, document)
            assert not [str(one) for one in document.faults if JARGON.search(one.message)]


def test_single_window_needs_no_brackets(load: Load) -> None:
    both = load("schedule: {bulk: 22:00-06:00, ordinary: [sat 08:00-12:00]}\n").schedule
    assert (both.bulk, both.ordinary) == (("22:00-06:00",), ("sat 08:00-12:00",))


def test_message_names_the_file(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path}/config.yaml:1: settle_s: must be"):
        load("settle_s: -1\n")


@pytest.mark.parametrize(
    "line",
    [
        "settle_s: .nan",
        "settle_s: .inf",
        "scan_s: 0",
        "settle_give_up_s: -1",
        "limits: {decode_s: 0}",
        "limits: 5",
        "inbox: ''",
        "inbox: [a]",
        "state: null",
    ],
)
def test_values_that_make_no_sense_are_refused(load: Load, line: str) -> None:
    with pytest.raises(ConfigError):
        load(line)


def test_path_no_file_system_can_hold_is_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match="inbox"):
        load('inbox: "a\\0b"\n')


@pytest.mark.parametrize(
    "devices", ["auto", "cpu", "cuda", "cuda:1", "[cuda:0, cuda:1]", "[cpu]", "[cpu, cuda:0]"]
)
def test_devices_that_could_exist_are_accepted(load: Load, devices: str) -> None:
    assert load(f"devices: {devices}\n").devices


@pytest.mark.parametrize(
    "devices", ["gpu", "cuda:x", "[]", "[auto]", "[cuda:0, cuda:0]", "CPU", "3", "[1]"]
)
def test_devices_that_could_not_exist_are_refused(load: Load, devices: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"devices: {devices}\n")
    assert all(fault.key.startswith("devices") for fault in caught.value.faults)


@pytest.mark.parametrize(
    ("text", "faulty"),
    [
        ("outbox: inbox/done\n", {"outbox"}),
        ("inbox: x\noutbox: x\n", {"inbox", "outbox"}),
        ("inbox: .\n", {"outbox", "presets", "state"}),
        ("state: outbox/.state\n", {"state"}),
    ],
)
def test_folders_inside_one_another_are_refused(load: Load, text: str, faulty: set[str]) -> None:
    with pytest.raises(ConfigError, match="move it out") as caught:
        load(text)
    assert {fault.key for fault in caught.value.faults} == faulty


def test_folder_that_only_shares_a_beginning_is_fine(load: Load) -> None:
    assert load("inbox: pictures\noutbox: pictures-done\n")


def test_link_into_another_folder_is_seen_through(load: Load, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "elsewhere").symlink_to(tmp_path / "inbox")
    with pytest.raises(ConfigError, match="outbox"):
        load("outbox: elsewhere/done\n")


def test_config_cannot_be_changed(load: Load) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load("").settle_s = 3.0  # type: ignore[misc]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("daemon.settings.config.SYSTEM_CONFIG", tmp_path / "etc" / "config.yaml")
    return tmp_path


def make(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.touch()
    return path


def test_configuration_is_looked_for_in_the_documented_order(here: Path) -> None:
    system = make(here / "etc" / "config.yaml")
    assert find_config(None, {}) == system
    local = make(here / "config.yaml")
    assert find_config(None, {}) == local
    named = make(here / "named.yaml")
    assert find_config(None, {"ATELIERD_CONFIG": str(named)}) == named
    given = make(here / "given.yaml")
    assert find_config(given, {"ATELIERD_CONFIG": str(named)}) == given


def test_configuration_that_was_named_is_never_replaced_by_another(here: Path) -> None:
    make(here / "config.yaml")
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        find_config(Path("gone.yaml"), {})
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        find_config(None, {"ATELIERD_CONFIG": "gone.yaml"})


def test_missing_configuration_says_where_it_was_looked_for(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml and .*etc/config\.yaml; use --config"):
        find_config(None, {})


def test_closed_working_folder_is_passed_over_for_the_systems_configuration(
    here: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """`sudo -u atelierd atelierd doctor`, typed in root's home."""
    monkeypatch.setattr("daemon.settings.config.SYSTEM_CONFIG", Path(daemon.__file__))
    (here / "config.yaml").symlink_to(here / "closed" / "config.yaml")
    request.getfixturevalue("closed")
    with pytest.raises(PermissionError):
        Path("config.yaml").stat()
    assert find_config(None, {}) == Path(daemon.__file__)


def test_configuration_that_may_not_be_looked_at_says_so(closed: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml \(Permission denied; let user"):
        find_config(closed / "config.yaml", {})


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
def test_configuration_that_is_no_file_says_so(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "config.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path)
    with pytest.raises(ConfigError, match=r"no ordinary file|leads to itself"):
        find_config(path, {})


def test_empty_variable_names_no_configuration(here: Path) -> None:
    local = make(here / "config.yaml")
    assert find_config(None, {"ATELIERD_CONFIG": ""}) == local


def test_folders_that_lead_to_themselves_or_may_not_be_looked_at_are_no_trace(
    load: Load, tmp_path: Path, closed: Path
) -> None:
    os.seteuid(os.getuid())
    for name in ("inbox", "presets", "loop.log"):
        (tmp_path / name).symlink_to(name)
    text = f"outbox: {closed}/a\nstate: {closed}/b\nlog: {{file: loop.log}}\n"
    (tmp_path / "config.yaml").write_text(text)
    config = load(text)
    check_guarded(config, tmp_path / "config.yaml")


def test_unreadable_configuration_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


@pytest.mark.parametrize("where", [Path(daemon.__file__).parent, Path(daemon.__file__).parents[1]])
def test_folder_that_holds_the_program_or_lies_in_it_is_refused(load: Load, where: Path) -> None:
    with pytest.raises(ConfigError, match="the program's own folder") as caught:
        load(f"inbox: {where}\n")
    assert messages(caught)[0].startswith("1 inbox: ")
    with pytest.raises(ConfigError, match="the program's own folder"):
        load(f"outbox: {where / 'engine'}\npresets: {where}\n")


@pytest.fixture
def guarded(tmp_path: Path) -> Path:
    """A configuration with a preset that only its owner may change."""
    for name, mode in (("config.yaml", 0o644), ("presets/wave.yaml", 0o664)):
        make(tmp_path / name).chmod(mode)
    (tmp_path / "presets").chmod(0o755)
    tmp_path.chmod(0o755)
    return tmp_path / "config.yaml"


def test_configuration_that_only_its_owner_may_change_is_obeyed(guarded: Path) -> None:
    check_guarded(load_config(guarded), guarded)
    guarded.parent.chmod(0o1777)  # like /tmp: others can add files there, not replace these
    check_guarded(load_config(guarded), guarded)
    check_guarded(load_config(guarded).model_copy(update={"presets": Path("/gone")}), guarded)


def test_presets_folder_that_is_closed_keeps_nothing_from_starting(
    guarded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may read everything, so the answer of the system is given here in its place.
    refused = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(Path, "iterdir", Mock(side_effect=refused))
    check_guarded(load_config(guarded), guarded)


def test_presets_folder_that_does_not_answer_keeps_nothing_from_starting(
    guarded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()
    monkeypatch.setattr(Path, "iterdir", lambda _: iter([Path("late")][: answer.wait(60.0)]))
    monkeypatch.setattr("daemon.settings.config.ANSWER_S", 0.05)
    check_guarded(load_config(guarded), guarded)
    answer.set()


@pytest.mark.parametrize("name", ["config.yaml", "presets", "presets/wave.yaml", "."])
def test_what_anybody_may_change_is_not_obeyed(guarded: Path, name: str) -> None:
    path = guarded.parent / name
    path.chmod(path.stat().st_mode | 0o002)
    with pytest.raises(ConfigError, match="everybody may write here") as caught:
        check_guarded(load_config(guarded), guarded)
    assert [fault.file for fault in caught.value.faults] == [str(path)]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("127.0.0.1:9470", "127.0.0.1:9470"),
        ("':9470'", "localhost:9470"),
        (":9470", "localhost:9470"),
        ("'[::1]:9470'", "[::1]:9470"),
        ("studio.example:1", "studio.example:1"),
        ("0.0.0.0:65535", "0.0.0.0:65535"),
    ],
)
def test_address_of_the_metrics_is_host_and_port(load: Load, given: str, shown: str) -> None:
    assert str(load(f"metrics: {given}\n").metrics) == shown


def test_metrics_are_served_nowhere_unless_asked_for(load: Load) -> None:
    assert load("").metrics is None
    assert load("metrics: null\n").metrics is None


@pytest.mark.parametrize(
    "wrong",
    ["9470", "localhost", "a:b", "host:0", "host:65536", "host:-1", "::1:9470", "a b:1", "''"],
)
def test_address_that_is_none_is_a_fault_that_shows_what_would_be_right(
    load: Load, wrong: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"metrics: {wrong}\n")
    (message,) = messages(caught)
    assert message.startswith("1 metrics: must be HOST:PORT such as 127.0.0.1:9470, ")
    assert "from 1 to 65535, not " in message


def test_log_goes_to_its_file_relative_to_the_configuration(load: Load, tmp_path: Path) -> None:
    assert load("").log.file == "auto"
    assert load("log: {file: null}\n").log.file is None
    log = load("log:\n  file: logs/a.log\n  rotate_bytes: 1MB\n  keep: 3\n  format: json\n").log
    assert log.file == tmp_path / "logs/a.log"
    assert (log.rotate_bytes, log.keep, log.format) == (1_000_000, 3, "json")


def test_log_in_a_folder_of_pictures_or_in_place_of_a_folder_is_a_fault(
    load: Load, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load("inbox: in\nlog:\n  file: in/a.log\n")
    assert messages(caught) == [f"3 log.file: lies in inbox ({tmp_path}/in); move it out"]
    (tmp_path / "logs").mkdir()
    with pytest.raises(ConfigError) as caught:
        load("log:\n  file: logs\n")
    assert messages(caught) == [f"2 log.file: is a folder: {tmp_path}/logs; name a file in it"]


def test_wrong_settings_of_the_log_are_told_with_what_would_be_right(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("log:\n  file: 5\n  rotate_bytes: 9\n  keep: -1\n  format: xml\n")
    assert messages(caught) == [
        "2 log.file: must be auto, null or the path of a file, not 5",
        "3 log.rotate_bytes: must be greater than or equal to 10000, not 9",
        "4 log.keep: must be greater than or equal to 0, not -1",
        "5 log.format: must be 'text' or 'json', not 'xml'",
    ]


@pytest.fixture
def hooked(guarded: Path) -> Path:
    """The same with a command and a secret, which only their owner may change or read."""
    for name, mode in (("hooks/notify", 0o755), ("hooks/secret", 0o600)):
        make(guarded.parent / name).chmod(mode)
    (guarded.parent / "hooks").chmod(0o755)
    guarded.write_text(
        "hooks:\n  on_done:\n  - command: [hooks/notify, now]\n"
        "  - {url: 'http://example.org', secret_file: hooks/secret}\n"
    )
    return guarded


def test_files_of_hooks_lie_beside_the_configuration(hooked: Path) -> None:
    command, address = load_config(hooked).hooks.on_done
    assert command.command == (str(hooked.parent / "hooks/notify"), "now")
    assert address.secret_file == hooked.parent / "hooks/secret"
    check_guarded(load_config(hooked), hooked)


@pytest.mark.parametrize("name", ["hooks/notify", "hooks/secret", "hooks"])
def test_hook_that_anybody_may_change_is_not_run(hooked: Path, name: str) -> None:
    path = hooked.parent / name
    path.chmod(path.stat().st_mode | 0o002)
    with pytest.raises(ConfigError, match="everybody may write here") as caught:
        check_guarded(load_config(hooked), hooked)
    assert [fault.file for fault in caught.value.faults] == [str(path)]


def test_program_behind_a_link_is_looked_at_where_it_lies(hooked: Path, tmp_path: Path) -> None:
    program = make(tmp_path / "elsewhere" / "notify")
    (hooked.parent / "hooks/notify").unlink()
    (hooked.parent / "hooks/notify").symlink_to(program)
    program.parent.chmod(0o777)
    with pytest.raises(ConfigError, match="everybody may write here") as caught:
        check_guarded(load_config(hooked), hooked)
    assert [fault.file for fault in caught.value.faults] == [str(program.parent)]


def test_secret_that_everybody_may_read_is_none(hooked: Path) -> None:
    (hooked.parent / "hooks/secret").chmod(0o644)
    with pytest.raises(ConfigError, match="secret:1: everybody may read this secret"):
        check_guarded(load_config(hooked), hooked)


def test_secret_that_is_not_there_or_no_file_is_told_at_the_start(hooked: Path) -> None:
    secret = hooked.parent / "hooks/secret"
    secret.unlink()
    with pytest.raises(ConfigError, match=r"secret:1: cannot be read: No such file"):
        check_guarded(load_config(hooked), hooked)
    secret.mkdir()
    with pytest.raises(ConfigError, match="secret:1: is no file"):
        check_guarded(load_config(hooked), hooked)


@pytest.mark.parametrize("text", ["2026-11-26", "1:03", "4GiB of it", "4-5", "0x90"])
def test_size_is_no_beginning_of_something_else(text: str) -> None:
    with pytest.raises(ValueError, match="4GiB or 500MB"):
        check_bytes(text)
    assert check_bytes("4GiB") == "4GiB" and check_bytes(500) == 500


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("proof_folder: all", "proof_folder"),
        ("proof_folder: Bulk", "proof_folder"),
        ("all_presets: proof", "all_presets"),
        ("all_presets: bulk", "all_presets"),
    ],
)
def test_folders_of_the_inbox_with_one_name_are_a_fault(load: Load, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(text)
    assert key in {fault.key for fault in raised.value.faults}
