"""Strict YAML: one document of plain values, every key's line known, every fault reported.

Stricter than `yaml.safe_load`, which expands alias bombs, lets a second key win in silence, reads
`1e6` as text, and `0144` and `1:03` as 100 and 63.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from daemon.errors import ConfigError, Fault
from daemon.host import access
from daemon.host.files import printable

MAX_BYTES = 65_536
MAX_DEPTH = 12
MAX_NUMBER_CHARACTERS = 100
MAX_KEY_CHARACTERS = 80
MAX_MESSAGE_CHARACTERS = 1000
VALUE_ERRORS = (yaml.YAMLError, ValueError, LookupError, OverflowError, AttributeError)
"""PyYAML's own errors, and what its code stumbles over: `!!int ""`, `!!bool perhaps`."""

INT, FLOAT = NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)$")
DECIMAL = re.compile(
    r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"
    r"|[-+]?[0-9]+[eE][-+]?[0-9]+$"
    r"|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
)
ODD_NUMBERS = (
    (re.compile(r"[-+]?0*([0-9][0-9_]*)"), 10),
    (re.compile(r"[-+]?0x([0-9a-f_]+)", re.IGNORECASE), 16),
    (re.compile(r"[-+]?0o([0-7_]+)", re.IGNORECASE), 8),
    (re.compile(r"[-+]?0b([01_]+)", re.IGNORECASE), 2),
)
"""Whole numbers as programs may write them, and their base; people who write 0144 mean 144."""

KeyPath = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


class Loader(yaml.SafeLoader):
    """SafeLoader to which numbers are decimal, as in YAML 1.2; what is no such number is text.

    Dates are text too: no setting is one.
    """


Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in (*NUMBER_TAGS, "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(INT, WHOLE, list("-+0123456789"))
Loader.add_implicit_resolver(FLOAT, DECIMAL, list("-+.0123456789"))


@dataclass
class Document:
    """A YAML mapping, the line of each of its keys, and what was wrong with its form."""

    file: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line_of(self, path: KeyPath) -> int:
        """The line of a key, or of the nearest key around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def fault(self, message: str, path: KeyPath = (), line: int | None = None) -> None:
        """Notes something wrong, in one line of plain text whatever the document says.

        line: the key's if None.
        """
        key = printable(cut(dotted(path), MAX_KEY_CHARACTERS))
        text = printable(cut(message, MAX_MESSAGE_CHARACTERS))
        self.faults.append(Fault(self.file, line or self.line_of(path), key, text))


class Section(BaseModel):
    """A part of a YAML file: plain values of just these keys, checked once and then frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def dotted(path: KeyPath) -> str:
    """`styles[0].image`"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read(path: Path) -> Document:
    """Reads a file of settings; raises ConfigError where it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        told = f"cannot be read: {error.strerror}{access.advice(error)}"
        raise ConfigError([Fault(str(path), 1, "", told)]) from error
    return parse(content, str(path))


def parse(content: bytes, file: str) -> Document:
    """Reads a document; what is wrong with it is in its `faults`, never raised."""
    document = Document(file)
    if len(content) > MAX_BYTES:
        document.fault(f"is larger than {MAX_BYTES} bytes; at most {MAX_BYTES} are read")
        return document
    try:
        node = compose(content.decode("utf-8-sig"), document)
        if isinstance(node, yaml.MappingNode):
            document.data = read_mapping(node, (), document)
        elif node is not None:
            document.fault("must be a list of `key: value` lines", (), node.start_mark.line + 1)
    except UnicodeDecodeError as error:
        document.fault(f"is not UTF-8 text (byte {error.start}); save it as UTF-8")
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        document.fault(f"is not YAML: {error.problem}", (), line)
    except yaml.reader.ReaderError as error:
        line = content.decode("utf-8-sig")[: error.position].count("\n") + 1
        what = f"{error.reason} (U+{error.character:04X})"
        document.fault(f"is not YAML: {what}", (), line)
    except (ValueError, OverflowError):
        what = "it has an escape beyond the last character, or a huge version"
        document.fault(f"is not YAML: {what}")
    except (yaml.YAMLError, RecursionError) as error:
        document.fault(f"is not YAML: {error}")
    return document


def parse_value(text: str, path: KeyPath, document: Document) -> Any:
    """One value as it may stand after a key; None with a fault if it may not. Raises YAMLError."""
    node = compose(text, document)
    return None if node is None else read_value(node, path, document)


def compose(text: str, document: Document) -> yaml.Node | None:
    """The node tree, or None if it may not be built: aliases, depth."""
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            document.fault("aliases (*name) are not allowed; write the value out", (), line)
            return None
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            document.fault(f"is nested deeper than {MAX_DEPTH} levels", (), line)
            return None
    return yaml.compose(text, Loader=Loader)


def read_mapping(node: yaml.MappingNode, path: KeyPath, document: Document) -> dict[str, Any]:
    """A mapping's values; duplicate keys and keys that are not text are faults."""
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or not is_text(key):
            document.fault("keys must be plain text", path, line)
            continue
        here = (*path, key)
        if key in values:
            first = document.lines[here]
            document.fault(f"stands twice (first in line {first}); keep one", here, line)
            continue
        document.lines[here] = line
        values[key] = read_value(value_node, here, document)
    return values


def is_text(value: str) -> bool:
    """Whether a value can be stored: half a character (a lone surrogate) cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_value(node: yaml.Node, path: KeyPath, document: Document) -> Any:
    """One value of any kind."""
    if isinstance(node, yaml.MappingNode):
        return read_mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            document.lines[(*path, index)] = item.start_mark.line + 1
            items.append(read_value(item, (*path, index), document))
        return items
    line = node.start_mark.line + 1
    if node.tag in NUMBER_TAGS and len(node.value) > MAX_NUMBER_CHARACTERS:
        document.fault(f"has {len(node.value)} characters, too many for a number", path, line)
        return None
    if node.tag in NUMBER_TAGS and not (WHOLE.match(node.value) or DECIMAL.match(node.value)):
        told = f"cannot be read: {shortened(node.value)} is no decimal number"
        document.fault(told + decimal_advice(node.value), path, line)
        return None
    constructor = yaml.constructor.SafeConstructor()
    try:
        value = constructor.construct_object(node, deep=True)
    except VALUE_ERRORS as error:
        problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        document.fault(f"cannot be read: {problem}", path, line)
        return None
    if isinstance(value, str) and not is_text(value):
        document.fault(f"{shortened(value)} holds half a character", path, line)
        return None
    return value


def check(
    model: type[Model], document: Document, data: Mapping[str, Any] | None = None
) -> Model | None:
    """The document as `model`, or None with all that is wrong added to its faults.

    data: what to check in the document's place, where values were merged into it.
    """
    try:
        checked = model.model_validate(document.data if data is None else data)
    except ValidationError as error:
        problems: dict[KeyPath, list[ErrorDetails]] = {}
        for problem in error.errors():
            path = key_path(problem["loc"], document)
            if problem["type"] == "missing" and path[-1:] != problem["loc"][-1:]:
                path = (*path, problem["loc"][-1])  # it has no line, but it has a name
            problems.setdefault(path, []).append(problem)
        outer = {path[:depth] for path in problems for depth in range(1, len(path))}
        for path, of_key in problems.items():
            if path in outer:
                continue  # it may be a number or a list, was a list, and the fault is in that
            message = joined([describe(problem, model) for problem in of_key])
            document.fault(message + advice(of_key), path)
        return None
    return None if document.faults else checked


def key_path(location: KeyPath, document: Document) -> KeyPath:
    """Pydantic's location without the parts that name a variant of a type, not a key."""
    path: KeyPath = ()
    for part in location:
        if (*path, part) in document.lines or part == location[0]:
            path = (*path, part)
    return path or location


EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "bool": "true or false",
    "list": "a list such as [a, b]",
    "tuple": "a list such as [a, b]",
    "dict": "a section: keys with their values",
    "model": "a section: keys with their values",
    "byte": "a size such as 500MB or 4GiB",
    "none": "null",
}
"""What people may write, by the first word of pydantic's error types: `int_parsing`."""


def describe(problem: ErrorDetails, model: type[BaseModel]) -> str:
    """Pydantic's finding as a sentence with a remedy, in the words of who writes YAML."""
    given, context = shortened(problem.get("input")), problem.get("ctx", {})
    match problem["type"]:
        case "extra_forbidden":
            return unknown_key(str(problem["loc"][-1]), known_keys(model, problem["loc"][:-1]))
        case "missing":
            return "is missing; add it"
        case "value_error":
            return problem["msg"].removeprefix("Value error, ")
        case "too_short":
            return f"must have at least {context['min_length']} of them, not {given}"
        case "too_long":
            return f"must have at most {context['max_length']} of them, not {given}"
        case "literal_error":
            return f"must be {context['expected']}, not {given}"
        case kind:
            expected = EXPECTED.get(kind.partition("_")[0])
            sentence = expected or problem["msg"].removeprefix("Input should be ")
            return f"must be {sentence}, not {given}"


def advice(problems: Sequence[ErrorDetails]) -> str:
    """What to write in place of a value that YAML, or whoever wrote it, took for another kind."""
    given, kinds = problems[0].get("input"), {problem["type"] for problem in problems}
    if "string_type" in kinds and (given is None or isinstance(given, bool | int | float)):
        return "; put quotes around it if it is text"
    if isinstance(given, str) and any(kind.startswith(("int", "float")) for kind in kinds):
        return decimal_advice(given)
    return ""


def decimal_advice(text: str) -> str:
    """`; write 144` for 0144 and 0x90; empty for what is no number at all."""
    for pattern, base in ODD_NUMBERS:
        digits = pattern.fullmatch(text)
        if digits and len(text) <= MAX_NUMBER_CHARACTERS:
            sign = "-" if text.startswith("-") else ""
            return f"; write {sign}{int(digits[1].replace('_', '') or '0', base)}"
    return ""


def joined(messages: Sequence[str]) -> str:
    """The findings of one key as one sentence: a value may be wrong for each of several types."""
    first = messages[0].rpartition(", not ")[0]
    others = [message.removeprefix("must be ").rpartition(", not ")[0] for message in messages[1:]]
    if not first or not all(others):
        return messages[0]
    return " or ".join([first, *others]) + ", not " + messages[0].rpartition(", not ")[2]


def to_path(value: object, what: str = "the path of a folder") -> Path:
    """A path from text; raises ValueError for anything else, which was to be `what`."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"must be {what}, not {shortened(value)}")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:  # ~nobody
        raise ValueError(f"is in a home folder that is not known: {value!r}") from error


def shortened(value: object) -> str:
    """A value as the message shows it, as YAML has it."""
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else cut(repr(value), 60)


def cut(text: str, characters: int) -> str:
    """A text, its end left out if it has more characters than that."""
    return text if len(text) <= characters else text[: characters - 3] + "..."


def unknown_key(key: str, known: list[str]) -> str:
    """What to say of a key nobody knows."""
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return f"unknown key; did you mean `{near[0]}`?"
    return f"unknown key; known are: {', '.join(known)}"


def known_keys(model: type[BaseModel], location: KeyPath) -> list[str]:
    """The keys that may stand at a place, found by following the model's types."""
    current: type[BaseModel] | None = model
    for part in location:
        if current is None or isinstance(part, int):
            continue
        info = current.model_fields.get(part)
        current = nested_model(info.annotation) if info else None
    return list(current.model_fields) if current else []


def nested_model(annotation: Any) -> type[BaseModel] | None:
    """The model a type holds: itself, or inside list[...] or a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = nested_model(inner)
        if found:
            return found
    return None
