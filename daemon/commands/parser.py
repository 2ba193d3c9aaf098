"""What may be typed after `atelierd`: the table of options, and the parser that knows them."""

import difflib
import os
import re
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from daemon import __version__

if TYPE_CHECKING:
    from daemon.settings.address import Address

Command = Callable[..., int]
PAIR_DAYS = 730
Options = dict[str, dict[str, Any]]


class Parser(ArgumentParser):
    """A parser that knows what was meant by a command with a slip in it."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with the usage and what was wrong with it."""
        wrong = re.search(r"COMMAND: invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if wrong is not None:
            near = difflib.get_close_matches(wrong[1], re.findall(r"[\w-]+", wrong[2]), n=1)
            message = f"there is no command {wrong[1]!r}" + (
                f"; did you mean `{near[0]}`?" if near else f"; there are {wrong[2]}"
            )
        super().error(message)


def some(text: str) -> str:
    """A word that is not empty: an empty one is a variable that was never set."""
    if not text.strip():
        raise ArgumentTypeError("is empty")
    return text


def some_path(text: str) -> Path:
    """A path that is not empty, nor a folder that is not there."""
    if some(text).endswith("/") and not os.path.isdir(text):  # noqa: PTH112  # a Path drops it
        raise ArgumentTypeError(f"there is no folder {text}")
    return Path(text)


def sheet_size(text: str) -> int:
    """A number of pixels that a picture may be painted at."""
    if not text.isascii() or not text.isdigit() or not 64 <= int(text) <= 4096:
        raise ArgumentTypeError("must be a whole number from 64 to 4096")
    return int(text)


def days(text: str) -> int:
    """A number of days that a certificate may hold."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 3650:
        raise ArgumentTypeError("must be a whole number from 1 to 3650")
    return int(text)


def node_name(text: str) -> str:
    """A name that a node may have."""
    from daemon.settings.fleet import check_name

    try:
        return check_name(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def host_name(text: str) -> str:
    """A host's name or IP address, as a certificate may have it."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", text):
        raise ArgumentTypeError("must be a host's name such as studio.example, or an IP address")
    return text


def address(text: str) -> "Address":
    """HOST:PORT at which something may listen."""
    from daemon.settings.fleet import to_listening

    try:
        return to_listening(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def flag(help: str, **further: str) -> dict[str, Any]:
    """An option that is there or not."""
    return {"action": "store_true", "help": help, **further}


CONFIG = "the configuration; else $ATELIERD_CONFIG, ./config.yaml or /etc/atelierd/config.yaml"
AS_JSON: Options = {"--json": flag("print JSON instead of text", dest="as_json")}
JOBS = {"type": some, "metavar": "JOB", "help": "job ids, or their beginnings"}
SETTINGS = {"action": "append", "default": [], "dest": "settings", "metavar": "KEY=VALUE"}
MASK = {
    "type": some_path,
    "metavar": "FILE",
    "help": "which style goes where, by the colours of the preset's regions; or its strength, in "
    "greys",
}
OPTIONS: dict[str, Options] = {
    "run": {
        "--once": flag("take what is in the inbox, finish it, and exit"),
        "--until": {
            "metavar": "HH:MM",
            "help": "stop at that time; what is left waits for the next",
        },
    },
    "status": AS_JSON | {"--watch": flag("keep showing, until Ctrl-C")},
    "presets": {
        "name": {"type": some, "metavar": "NAME", "nargs": "?", "help": "report on this one"},
        "--sheet": {
            "type": some_path,
            "metavar": "PICTURE",
            "help": "paint this picture in every preset, small, and lay a sheet of them here",
        },
        "--size": {
            "type": sheet_size,
            "metavar": "PX",
            "help": "of each picture on the sheet, its longest side; else 256",
        },
        "--mask": MASK,
    }
    | AS_JSON,
    "stylize": {
        "picture": {"type": some_path, "metavar": "PICTURE", "help": "the picture to paint"},
        "--preset": {"type": some, "metavar": "NAME", "help": "the preset to paint it with"},
        "--like": {
            "type": some_path,
            "metavar": "RESULT",
            "help": "paint it as that result was painted",
        },
        "--out": {
            "type": some_path,
            "metavar": "FILE",
            "help": "the result; else PICTURE-PRESET here",
        },
        "--force": flag("let the result replace a file that is there"),
        "--set": SETTINGS | {"help": "override a field of the preset; may be given several times"},
        "--mask": MASK,
        "--proof": flag("paint it at 512 px, and say how long the full one takes"),
    },
    "show": {
        "what": {"type": some, "metavar": "RESULT", "help": "a result, a record, or a job's id"},
    }
    | AS_JSON,
    "gallery": {
        "--rebuild": flag("write all of it anew, and make the small versions that are missing")
    },
    "retry": {"jobs": JOBS | {"nargs": "*"}, "--failed": flag("every failed job")},
    "cancel": {"jobs": JOBS | {"nargs": "+"}},
    "first": {"jobs": JOBS | {"nargs": "+"}},
    "move": {
        "job": JOBS,
        "--before": JOBS | {"help": "the job that it is to come right before"},
        "--last": flag("behind all that wait now"),
    },
    "approve": {
        "jobs": JOBS | {"nargs": "*"},
        "--all": flag("every proof that waits now", dest="waiting"),
        "--set": SETTINGS | {"help": "override a field of the recipe; may be given several times"},
        "--proof": flag("paint the proof anew, which waits again"),
    },
    "reject": {"jobs": JOBS | {"nargs": "+"}},
    "doctor": AS_JSON | {"--node": flag("check a node of a fleet, by its node.yaml")},
    "install-service": {
        "--system": flag("for the whole machine, as a user of its own"),
        "--user": flag("for yourself, without root"),
        "--nightly": flag("paint at night only, by a timer"),
        "--node": flag("a node of a fleet, by its node.yaml"),
        "--scheduler": flag("a fleet's scheduler, as a user of its own"),
        "--dry-run": flag("print the files, and write nothing"),
    },
    "fleet certificates": {
        "nodes": {
            "type": node_name,
            "metavar": "NODE",
            "nargs": "*",
            "help": "nodes that get a certificate and key, in a folder to be copied to each",
        },
        "--folder": {
            "type": Path,
            "metavar": "DIR",
            "help": "where the authority and all certificates are; else fleet in the state folder",
        },
        "--service-name": {
            "type": host_name,
            "action": "append",
            "default": [],
            "dest": "service_names",
            "metavar": "NAME",
            "help": "by which nodes reach the service's host, else its name; may be given again",
        },
        "--days": {
            "type": days,
            "default": PAIR_DAYS,
            "metavar": "N",
            "help": f"how long new certificates hold; else {PAIR_DAYS}",
        },
        "--renew": flag("make those of service, scheduler and the nodes named here anew"),
    },
    "fleet scheduler": {
        "--folder": {
            "type": Path,
            "metavar": "DIR",
            "help": "where ca.pem, scheduler.pem and scheduler.key are; else fleet in the state "
            "folder",
        },
        "--listen": {
            "type": address,
            "default": "0.0.0.0:8786",
            "metavar": "HOST:PORT",
            "help": "where nodes and service connect to; else 0.0.0.0:8786",
        },
    },
    "weights fetch": {"name": {"choices": ["torchvision"], "help": "which"}},
}
"""By the words of a command; a command of two words comes after that of the first."""


def make_parser(commands: Mapping[str, Command]) -> ArgumentParser:
    """Makes the parser of all commands, described by their docstrings; `command` is which it is."""
    parser = Parser(
        "atelierd",
        allow_abbrev=False,
        description="A folder that paints: drop a photograph in, find the picture in the outbox.",
    )
    version = f"atelierd {__version__}"
    parser.add_argument("--version", action="version", version=version, help="print the version")
    made: dict[str, ArgumentParser] = {"": parser}
    groups: dict[str, Any] = {}
    for words, command in commands.items():
        group, _, name = words.rpartition(" ")
        if group not in groups:
            groups[group] = made[group].add_subparsers(title="commands", metavar="COMMAND")
        about = (command.__doc__ or "").partition("\n")[0]
        inner = groups[group].add_parser(name, help=about, description=about, allow_abbrev=False)
        made[words] = inner
        inner.set_defaults(command=command)
    for words, each in made.items():  # --config before the command holds, unless it stands after it
        default = SUPPRESS if words else None
        each.add_argument("--config", type=some_path, metavar="FILE", default=default, help=CONFIG)
        for option, settings in OPTIONS.get(words, {}).items():
            each.add_argument(option, **settings)
    parser.set_defaults(command=None)
    return parser
