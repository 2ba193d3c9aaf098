"""Strict YAML: one document of plain values, every key's line known, every fault reported.

Stricter than `yaml.safe_load`, which expands alias bombs, lets a second key win in silence and
reads `1e6` as text.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from daemon.errors import Fault
from daemon.files import printable

MAX_BYTES = 65_536
MAX_DEPTH = 12
MAX_NUMBER_CHARACTERS = 100
MAX_KEY_CHARACTERS = 80
MAX_MESSAGE_CHARACTERS = 1000
VALUE_ERRORS = (yaml.YAMLError, ValueError, LookupError, OverflowError, AttributeError)
"""PyYAML's own errors, and what its code stumbles over: `!!int ""`, `!!bool perhaps`."""

NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")

KeyPath = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


class Loader(yaml.SafeLoader):
    """SafeLoader that also knows `1e6` for the number it is."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


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

    def fault(self, line: int, path: KeyPath, message: str) -> None:
        """Notes something wrong, in one line of plain text whatever the document says."""
        key = printable(cut(dotted(path), MAX_KEY_CHARACTERS))
        self.faults.append(
            Fault(self.file, line, key, printable(cut(message, MAX_MESSAGE_CHARACTERS)))
        )


def dotted(path: KeyPath) -> str:
    """`styles[0].image`"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parse(content: bytes, file: str) -> Document:
    """Reads a document; what is wrong with it is in its `faults`, never raised."""
    document = Document(file)
    if len(content) > MAX_BYTES:
        document.fault(1, (), f"is {len(content)} bytes; at most {MAX_BYTES} are read")
        return document
    try:
        node = compose(content.decode("utf-8-sig"), document)
        if node is not None:
            document.data = read_mapping(node, (), document)
    except UnicodeDecodeError as error:
        document.fault(1, (), f"is not UTF-8 text (byte {error.start}); save it as UTF-8")
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        document.fault(line, (), f"is not YAML: {error.problem}")
    except yaml.reader.ReaderError as error:
        line = content.decode("utf-8-sig")[: error.position].count("\n") + 1
        what = f"{error.reason} (U+{error.character:04X})"
        document.fault(line, (), f"is not YAML: {what}")
    except (ValueError, OverflowError):
        what = "it has an escape beyond the last character, or a huge version"
        document.fault(1, (), f"is not YAML: {what}")
    except (yaml.YAMLError, RecursionError) as error:
        document.fault(1, (), f"is not YAML: {error}")
    return document


def compose(text: str, document: Document) -> yaml.MappingNode | None:
    """The node tree, or None if it may not be built: aliases, depth."""
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            document.fault(line, (), "aliases (*name) are not allowed; write the value out")
            return None
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            document.fault(line, (), f"is nested deeper than {MAX_DEPTH} levels")
            return None
    node = yaml.compose(text, Loader=Loader)
    if node is None or isinstance(node, yaml.MappingNode):
        return node
    document.fault(node.start_mark.line + 1, (), "must be a list of `key: value` lines")
    return None


def read_mapping(node: yaml.MappingNode, path: KeyPath, document: Document) -> dict[str, Any]:
    """A mapping's values; duplicate keys and keys that are not text are faults."""
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or not is_text(key):
            document.fault(line, path, "keys must be plain text")
            continue
        here = (*path, key)
        if key in values:
            first = document.lines[here]
            document.fault(line, here, f"stands twice (first in line {first}); keep one")
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
        document.fault(line, path, f"has {len(node.value)} characters, too many for a number")
        return None
    constructor = yaml.constructor.SafeConstructor()
    try:
        value = constructor.construct_object(node, deep=True)
    except VALUE_ERRORS as error:
        problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        document.fault(line, path, f"cannot be read: {problem}")
        return None
    if isinstance(value, str) and not is_text(value):
        document.fault(line, path, f"{shortened(value)} holds half a character")
        return None
    return value


def check(
    model: type[Model], document: Document, data: Mapping[str, Any] | None = None
) -> Model | None:
    """The document as `model`, or None with all that is wrong added to its faults.

    data: what to check in the document's place, where values were merged into it.
    """
    try:
        found = model.model_validate(document.data if data is None else data)
    except ValidationError as error:
        said: dict[KeyPath, list[str]] = {}
        for problem in error.errors():
            path = key_path(problem["loc"], document)
            if problem["type"] == "missing" and path[-1:] != problem["loc"][-1:]:
                path = (*path, problem["loc"][-1])  # it has no line, but it has a name
            said.setdefault(path, []).append(describe(problem, model))
        for path, messages in said.items():
            document.fault(document.line_of(path), path, joined(messages))
        return None
    return None if document.faults else found


def key_path(location: KeyPath, document: Document) -> KeyPath:
    """Pydantic's location without the parts that name a variant of a type, not a key."""
    path: KeyPath = ()
    for part in location:
        if (*path, part) in document.lines or part == location[0]:
            path = (*path, part)
    return path or location


def describe(problem: ErrorDetails, model: type[BaseModel]) -> str:
    """Pydantic's finding as a sentence with a remedy."""
    given = problem.get("input")
    match problem["type"]:
        case "extra_forbidden":
            return unknown_key(str(problem["loc"][-1]), known_keys(model, problem["loc"][:-1]))
        case "missing":
            return "is missing; add it"
        case "value_error":
            return problem["msg"].removeprefix("Value error, ")
        case _:
            sentence = problem["msg"].removeprefix("Input should be ")
            return f"must be {sentence}, not {shortened(given)}"


def joined(messages: Sequence[str]) -> str:
    """The findings of one key as one sentence: a value may be wrong for each of several types."""
    first = messages[0].rpartition(", not ")[0]
    others = [message.removeprefix("must be ").rpartition(", not ")[0] for message in messages[1:]]
    if not first or not all(others):
        return messages[0]
    return " or ".join([first, *others]) + ", not " + messages[0].rpartition(", not ")[2]


def shortened(value: object) -> str:
    """A value as the message shows it."""
    return cut(repr(value), 60)


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
