"""Templates to pages: names are text there, never markup."""

import functools
import hashlib
import importlib.resources
from collections.abc import Iterable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from daemon import __version__

PACKAGE = "daemon.outbox.gallery"
ASSETS = ("atelier.css", "atelier.js", "icon.png")


@functools.cache
def environment() -> Environment:
    """The templates of the gallery, and of what is built on them. Everything is escaped."""
    return Environment(
        loader=PackageLoader(PACKAGE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **given: Any) -> bytes:
    """A page as it is written."""
    return environment().get_template(template).render(**given).encode("utf-8", "replace")


def assets() -> Iterable[tuple[str, bytes]]:
    """Styles, script and icon, by their names."""
    folder = importlib.resources.files(PACKAGE) / "static"
    return [(name, (folder / name).read_bytes()) for name in ASSETS]


@functools.cache
def edition() -> str:
    """A hash of all that pages are made with: what another edition wrote is written anew."""
    made_with = hashlib.sha256(__version__.encode())
    templates = importlib.resources.files(PACKAGE) / "templates"
    for template in sorted(templates.iterdir(), key=lambda one: one.name):
        made_with.update(template.read_bytes())
    for _, content in assets():
        made_with.update(content)
    return made_with.hexdigest()[:16]
