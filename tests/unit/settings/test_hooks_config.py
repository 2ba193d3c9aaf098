"""The section `hooks`: what is understood, and what is refused with line, key and remedy."""

from pathlib import Path

import pytest

from daemon.errors import ConfigError
from daemon.settings.config import load_config
from daemon.settings.hooks import Event, Hook, Hooks

EITHER = "must have either `command` or `url`"


def load(folder: Path, section: str) -> Hooks:
    path = folder / "config.yaml"
    path.write_text(f"hooks:\n{section}\n")
    return load_config(path).hooks


def faults(folder: Path, section: str) -> list[str]:
    """Each fault as `line key: message`."""
    with pytest.raises(ConfigError) as caught:
        load(folder, section)
    return [f"{fault.line} {fault.key}: {fault.message}" for fault in caught.value.faults]


def test_nobody_is_told_unless_somebody_is_named() -> None:
    assert list(Hooks().all()) == []


def test_one_hook_or_several_are_told_in_their_order(tmp_path: Path) -> None:
    hooks = load(
        tmp_path,
        "  on_done: {command: [notify, --done]}\n  on_failed:\n"
        "  - {url: 'https://example.org/a?b=c'}\n  - {command: [/bin/mail, root]}\n",
    )
    assert [hook.command for hook in hooks.of(Event.DONE)] == [("notify", "--done")]
    assert [hook.name for hook in hooks.of(Event.FAILED)] == ["https://example.org/a", "/bin/mail"]
    assert hooks.of(Event.IDLE) == ()
    assert [key for key, _ in hooks.all()] == ["on_done", "on_failed", "on_failed"]


def test_command_has_a_minute_and_one_try_an_address_ten_seconds_and_three_more() -> None:
    command, address = Hook(command=["a"]), Hook(url="http://h")  # type: ignore[arg-type]
    assert (command.limit_s, command.tries) == (60.0, 1)
    assert (address.limit_s, address.tries) == (10.0, 4)
    assert (Hook(url="http://h", retries=0).tries, Hook(url="http://h", timeout_s=2).limit_s) == (
        1,
        2.0,
    )


def test_program_without_a_folder_is_left_to_be_looked_for(tmp_path: Path) -> None:
    (hook,) = load(tmp_path, "  on_done: {command: [notify, a/b]}").on_done
    assert (hook.command, hook.program) == (("notify", "a/b"), None)


def test_home_folder_of_a_secret_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    (hook,) = load(tmp_path, "  on_done: {url: 'http://h', secret_file: ~/key}").on_done
    assert hook.secret_file == Path("/home/anna/key")


def test_every_fault_is_told_with_its_line_and_key(tmp_path: Path) -> None:
    assert faults(
        tmp_path,
        "  on_done:\n  - command: notify --now\n  - command: [notify, 5]\n"
        "    timeout_s: 0\n  on_failed:\n    url: ftp://example.org\n    retrys: 2\n"
        "  on_ilde: {}\n",
    ) == [
        "3 hooks.on_done[0].command: must be a list, the program and its arguments, such as "
        "[/usr/local/bin/notify, --now]; no shell reads it",
        "4 hooks.on_done[1].command[1]: must be text, not 5; put quotes around it if it is text",
        "5 hooks.on_done[1].timeout_s: must be greater than 0, not 0",
        "7 hooks.on_failed.url: must be an address that begins with http:// or https://, and a "
        "host",
        "8 hooks.on_failed.retrys: unknown key; did you mean `retries`?",
        "9 hooks.on_ilde: unknown key; did you mean `on_idle`?",
    ]


@pytest.mark.parametrize(
    ("hook", "fault"),
    [
        ("{}", f"2 hooks.on_done[0]: {EITHER}"),
        ("{command: [a], url: 'http://h'}", f"2 hooks.on_done[0]: {EITHER}"),
        (
            "{command: [a], retries: 1}",
            "2 hooks.on_done[0]: has a `command`; `retries` and `secret_file` are for a `url`",
        ),
        (
            "{command: [a], secret_file: s}",
            "2 hooks.on_done[0]: has a `command`; `retries` and `secret_file` are for a `url`",
        ),
        (
            "{command: []}",
            "2 hooks.on_done[0].command: must be a list: the program and its arguments",
        ),
        (
            '{command: [a, "b\\0"]}',
            "2 hooks.on_done[0].command: names no program, or holds a NUL character",
        ),
        (
            '{command: [""]}',
            "2 hooks.on_done[0].command: names no program, or holds a NUL character",
        ),
        (
            "{url: 'http://h', secret_file: ''}",
            "2 hooks.on_done[0].secret_file: must be the path of a file",
        ),
        (
            "{url: 'http://h', secret_file: ~nobody-of-that-name/s}",
            "2 hooks.on_done[0].secret_file: is in a home folder that is not known: "
            "'~nobody-of-that-name/s'",
        ),
        (
            "{url: 'http://h', retries: 11}",
            "2 hooks.on_done[0].retries: must be less than or equal to 10, not 11",
        ),
    ],
)
def test_hook_that_makes_no_sense_is_refused(tmp_path: Path, hook: str, fault: str) -> None:
    assert faults(tmp_path, f"  on_done: [{hook}]") == [fault]


@pytest.mark.parametrize(
    "url",
    [
        "example.org",
        "http://",
        "http:///path",
        "file:///etc/passwd",
        "http://h:99999/",
        "http://h:0/",
        "http://[::1/",
        "http://h/a b",
        "http://h/ü",
        "http://h/\\n",
        "",
    ],
)
def test_address_that_cannot_be_sent_to_is_refused(tmp_path: Path, url: str) -> None:
    (fault,) = faults(tmp_path, f'  on_done: {{url: "{url}"}}')
    assert fault.startswith("2 hooks.on_done.url: must be an address")


@pytest.mark.parametrize(
    "section",
    [
        "  on_done: {url: 'https://anna:hunter2@example.org/'}",
        "  on_done: {url: 'https://hunter2@example.org/'}",
        "  on_done: https://anna:hunter2@h/",
        "  on_done: ['https://anna:hunter2@h/']",
    ],
)
def test_password_is_refused_and_not_repeated(tmp_path: Path, section: str) -> None:
    (fault,) = faults(tmp_path, section)
    assert "hunter2" not in fault
    assert "secret_file" in fault or "must be a hook" in fault


@pytest.mark.parametrize("value", ["", "5", "notify", "[notify]", "[[notify]]", "true"])
def test_what_is_no_hook_is_refused(tmp_path: Path, value: str) -> None:
    (fault,) = faults(tmp_path, f"  on_done: {value}")
    assert fault.startswith("2 hooks.on_done: must be a hook, {command: [...]} or {url: ...}")


def test_name_for_the_log_has_no_arguments_and_no_query() -> None:
    names = [
        Hook.model_validate({"command": ["/opt/no\x1btify", "--token=secret"]}).name,
        Hook.model_validate({"url": "https://h:99/a?token=secret#secret"}).name,
    ]
    assert names == ["/opt/no\\x1btify", "https://h:99/a"]
