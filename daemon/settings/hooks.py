"""Hooks as config.yaml describes them: who is told of jobs that are over, and how.

Apart from `config.py`, which holds them, for its length only.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from daemon.host.files import printable
from daemon.settings.yamlfile import Section, to_path

COMMAND_S, REQUEST_S, RETRIES = 60.0, 10.0, 3
URL_CHARACTERS = re.compile(r"[!-~]+")


class Event(StrEnum):
    """What hooks are told of."""

    DONE = "done"
    FAILED = "failed"
    PROOF = "proof"
    IDLE = "idle"


def to_arguments(value: object) -> object:
    """A command as the tuple of its arguments; raises ValueError for what is no list."""
    if isinstance(value, str):
        raise ValueError(
            "must be a list, the program and its arguments, such as [/usr/local/bin/notify, "
            "--now]; no shell reads it"
        )
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list: the program and its arguments")
    if any(isinstance(word, str) and "\0" in word for word in value) or value[0] == "":
        raise ValueError("names no program, or holds a NUL character")
    return tuple(value)


def check_url(value: str | None) -> str | None:
    """Raises ValueError, which never repeats the URL, unless it could be sent to."""
    if value is None:
        return None
    if not URL_CHARACTERS.fullmatch(value):
        raise ValueError("must be an address in ASCII without spaces; write others as %20 and such")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets, or a port beyond the last
        usable = False
    if not usable:
        raise ValueError("must be an address that begins with http:// or https://, and a host")
    if "@" in parts.netloc:
        raise ValueError(
            "holds a user or password, which others would read here; take it out, and let the "
            "receiver check a signature (secret_file)"
        )
    return value


def to_file(value: object) -> Path | None:
    """The path of a file from text; raises ValueError for anything else."""
    if value is None:
        return None
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be the path of a file")
    return to_path(value)


class Hook(Section):
    """One command or one address, and how patiently it is told.

    command: a program and its arguments; no shell reads it.  url: where the record is sent by POST.
    """

    command: Annotated[tuple[str, ...] | None, BeforeValidator(to_arguments)] = None
    url: Annotated[str | None, AfterValidator(check_url)] = None
    timeout_s: Annotated[float, Field(gt=0, le=3600)] | None = None  # of one try
    retries: Annotated[int, Field(ge=0, le=10)] | None = None  # of a url
    secret_file: Annotated[Path | None, BeforeValidator(to_file)] = None  # to sign with

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("must have either `command` or `url`")
        if self.command is not None and (self.retries, self.secret_file) != (None, None):
            raise ValueError("has a `command`; `retries` and `secret_file` are for a `url`")
        return self

    @property
    def limit_s(self) -> float:
        """Seconds one try may take."""
        return self.timeout_s or (REQUEST_S if self.url else COMMAND_S)

    @property
    def tries(self) -> int:
        """How often it is tried at most."""
        if self.command is not None:
            return 1
        return 1 + (RETRIES if self.retries is None else self.retries)

    @property
    def program(self) -> Path | None:
        """The command's file, None if it is looked for in PATH (or is no command)."""
        return Path(self.command[0]) if self.command and "/" in self.command[0] else None

    @property
    def name(self) -> str:
        """What logs call it: no arguments and no query, where secrets might be."""
        if self.command is not None:
            return printable(self.command[0])
        parts = urlsplit(self.url or "")
        return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))

    def below(self, base: Path) -> "Hook":
        """The same with its files absolute, those that were not being below `base`."""
        command, secret = self.command, self.secret_file
        if command is not None and self.program is not None:
            command = (str(base / self.program), *command[1:])
        if secret is not None:
            secret = base / secret
        return self.model_copy(update={"command": command, "secret_file": secret})


def to_list(value: object) -> object:
    """One hook as a list of one; raises ValueError, which never repeats it, for what is neither."""
    if isinstance(value, dict):
        return (value,)
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return tuple(value)
    raise ValueError("must be a hook, {command: [...]} or {url: ...}, or a list of such")


HookList = Annotated[tuple[Hook, ...], BeforeValidator(to_list)]


class Hooks(Section):
    """Who is told: of jobs that are done or failed, of proofs that wait, and that none is left."""

    on_done: HookList = ()
    on_failed: HookList = ()
    on_proof: HookList = ()
    on_idle: HookList = ()

    def of(self, event: Event) -> tuple[Hook, ...]:
        """The hooks of an event."""
        found: tuple[Hook, ...] = getattr(self, f"on_{event}")
        return found

    def all(self) -> Iterator[tuple[str, Hook]]:
        """Every hook with its key."""
        for event in Event:
            for hook in self.of(event):
                yield f"on_{event}", hook

    def below(self, base: Path) -> "Hooks":
        """The same with all their files absolute."""
        changed: dict[str, Any] = {
            f"on_{event}": tuple(hook.below(base) for hook in self.of(event)) for event in Event
        }
        return self.model_copy(update=changed)
