"""The page as config.yaml describes it: where it is served, to whom, and what may be done there."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from daemon.errors import ConfigError, Fault
from daemon.settings import yamlfile
from daemon.settings.address import Address, to_address
from daemon.settings.hooks import to_file
from daemon.settings.yamlfile import Section

HOST = re.compile(r"[a-z0-9]([a-z0-9._-]{0,250}[a-z0-9])?|\[[0-9a-f:.]+\]")
LEAST_CHARACTERS = {"password_file": 8, "token_file": 24}
MOST_BYTES = 4096


def check_host(name: str) -> str:
    """A name that a browser may ask for, in lower case; raises ValueError for what is none."""
    if not HOST.fullmatch(name.lower()):
        raise ValueError(
            "must be a name as it stands in the browser's address, such as studio.example, "
            f"without http:// and without a port, not {yamlfile.shortened(name)}"
        )
    return name.lower()


def to_own_address(value: object) -> Address:
    """An address; raises ValueError for null, too: a page that is not served is `page: null`."""
    found = to_address(value)
    if found is None:
        raise ValueError("must be HOST:PORT such as 127.0.0.1:8470; for no page: `page: null`")
    return found


def to_page(value: object) -> object:
    """A section from an address alone, which is how most people write it."""
    return {"address": value} if isinstance(value, str) else value


class PageSettings(Section):
    """Where the page is served, and what those who reach it may do.

    password_file, token_file: whoever knows the first line of one of them is let in.  hosts: names
    that the page is asked for by, beside the address itself.  presets: whether new presets may be
    made there.
    """

    address: Annotated[Address, BeforeValidator(to_own_address)] = Address("127.0.0.1", 8470)
    password_file: Annotated[Path | None, BeforeValidator(to_file)] = None  # typed into the page
    token_file: Annotated[Path | None, BeforeValidator(to_file)] = None  # sent by programs
    hosts: Annotated[
        tuple[Annotated[str, AfterValidator(check_host)], ...], Field(strict=False)
    ] = ()  # names in the browser's address
    presets: bool = False  # whether new ones may be made there

    def secret_files(self) -> Iterator[tuple[str, Path]]:
        """The files that hold what lets people in, by their keys."""
        for key in LEAST_CHARACTERS:
            path: Path | None = getattr(self, key)
            if path is not None:
                yield key, path

    def below(self, base: Path) -> "PageSettings":
        """The same with every path absolute."""
        return self.model_copy(
            update={key: Path(os.path.normpath(base / path)) for key, path in self.secret_files()}
        )


def check_page(page: PageSettings, document: yamlfile.Document) -> None:
    """Notes a fault for a page that others could reach, and nothing keeps out or lets in."""
    if page.address.is_loopback:
        return
    if not any(page.secret_files()):
        document.fault(
            f"{page.address} can be reached from other machines: name a `password_file` or a "
            "`token_file` beside it, and put TLS in front (docs/page.md); or take 127.0.0.1",
            ("page", "address"),
        )
    if page.address.host in ("0.0.0.0", "::") and not page.hosts:
        document.fault(
            "must name what people type to reach it, such as [studio.example]: other names are "
            "refused, and the address 0.0.0.0 is none",
            ("page", "hosts"),
        )


def read_secrets(page: PageSettings) -> dict[str, str]:
    """What lets people in, by the key of its file; raises ConfigError naming every fault."""
    found: dict[str, str] = {}
    faults: list[Fault] = []
    for key, path in page.secret_files():
        try:
            found[key] = read_secret(path, LEAST_CHARACTERS[key])
        except ValueError as error:
            faults.append(Fault(str(path), 1, f"page.{key}", str(error)))
    if faults:
        raise ConfigError(faults)
    return found


def read_secret(path: Path, least: int) -> str:
    """The first line of a file that nobody else may read; raises ValueError with what to mend."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ValueError("is no file; put the secret into one")
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            raise ValueError("others may read or write it; take that right away (chmod o-rw)")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}; put the secret there") from error
    try:
        secret = content.decode().partition("\n")[0].strip()
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 text; write the secret as its first line") from error
    if len(secret) < least:
        raise ValueError(
            f"has {len(secret)} characters in its first line; at least {least} are needed "
            "(openssl rand -base64 24)"
        )
    return secret
