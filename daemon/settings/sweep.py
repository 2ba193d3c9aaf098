"""Sweeps: a picture painted once for each of several values of one or two fields."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field, ValidationError

from daemon.engine.recipe import OF_LENGTH, overlaid
from daemon.pictures.form import JobRecipe, ResultForm
from daemon.settings import yamlfile
from daemon.settings.yamlfile import Document

MOST_CELLS = 64

Value = int | float | str
Sweep = Mapping[str, tuple[Value, ...]]
"""The values of each field that is swept, in the order they were written in; empty: no sweep."""

SweptValues = Annotated[
    dict[str, Annotated[list[Value], Field(min_length=1)]], Field(min_length=1, max_length=2)
]


class SweptRecipe(JobRecipe):
    """A job's recipe, and what a preset or sidecar tries of it in one go."""

    sweep: SweptValues | None = Field(
        default=None,
        description="`{FIELD: [values]}` of one or two fields: a result for each, and a sheet",
    )


@dataclass(frozen=True)
class Cell:
    """One of a sweep's recipes. label: what tells it from the others; empty where none is swept."""

    label: str
    recipe: JobRecipe


def without_sweep(swept: SweptRecipe) -> JobRecipe:
    """The recipe that the cells of a sweep vary."""
    return JobRecipe(**{name: getattr(swept, name) for name in JobRecipe.model_fields})


def check_sweep(swept: SweptRecipe, document: Document) -> Sweep:
    """The sweep that a document asks for; what is wrong with it is added to its faults."""
    recipe, given = without_sweep(swept), swept.sweep or {}
    before = len(document.faults)
    sweep = {name: checked(name, values, recipe, document) for name, values in given.items()}
    count = math.prod(map(len, sweep.values()))
    if given.keys() >= OF_LENGTH:
        document.fault("has effort and steps, which say the same; keep one of them", ("sweep",))
    if count > MOST_CELLS:
        document.fault(f"makes {count} pictures of one; at most {MOST_CELLS} may be", ("sweep",))
    if len(document.faults) > before:
        return {}
    try:
        cells_of(sweep, recipe)
    except ValidationError as error:
        told = yamlfile.describe(error.errors()[0], JobRecipe)
        document.fault(f"has values that do not go together: {told}", ("sweep",))
    return sweep


def checked(
    name: str, values: Sequence[Value], recipe: JobRecipe, document: Document
) -> tuple[Value, ...]:
    """The values of one field as its recipe has them; faults for those that it may not have."""
    if name not in SWEEPABLE:
        known = name in JobRecipe.model_fields
        told = f"cannot be swept; {', '.join(SWEEPABLE)} can"
        message = told if known else yamlfile.unknown_key(name, SWEEPABLE)
        document.fault(message, ("sweep", name))
        return ()
    found: list[Value] = []
    for number, value in enumerate(values):
        path = ("sweep", name, number)
        try:
            found.append(getattr(varied(recipe, {name: value}), name))
        except ValidationError as error:
            problems = error.errors()
            told = yamlfile.joined([yamlfile.describe(one, JobRecipe) for one in problems])
            document.fault(told + yamlfile.advice(problems), path)
    texts = Counter(map(value_text, found))
    for text in (text for text, count in texts.items() if count > 1):
        document.fault(f"has {text} {texts[text]} times; keep one", ("sweep", name))
    return tuple(found)


def cells_of(sweep: Sweep, recipe: JobRecipe) -> list[Cell]:
    """A sweep's cells, row by row; the recipe itself where nothing is swept.

    Those that differ in the result's form alone follow one another: they share their painting.
    Raises ValidationError for values that no recipe may have together.
    """
    cells = []
    fields = sorted(sweep, key=lambda name: name in ResultForm.model_fields)
    for values in itertools.product(*(sweep[name] for name in fields)):
        chosen = dict(zip(fields, values, strict=True))
        changed = {name: chosen[name] for name in sweep}
        cells.append(Cell(label_of(changed), varied(recipe, changed) if changed else recipe))
    return cells


def varied(recipe: JobRecipe, changed: Mapping[str, Value]) -> JobRecipe:
    """The recipe with other values; raises ValidationError."""
    return JobRecipe.model_validate(overlaid(recipe, changed))


def label_of(values: Mapping[str, Value]) -> str:
    """What a cell is called: `beta 20, style_scale 2`."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in values.items())


def values_of(label: str) -> dict[str, str]:
    """The values that a label tells of, as texts, by their fields."""
    parts = (part.partition(" ") for part in label.split(", ") if part)
    return {name: text for name, _, text in parts}


def value_text(value: Value) -> str:
    """A value in as few characters as tell it from every other: 20, 0.5, original."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def kinds_of(annotation: Any) -> Iterator[Any]:
    """The types that a field may have, without what limits them."""
    if get_origin(annotation) in (Literal, dict, list, tuple):
        yield get_origin(annotation)
    elif arguments := get_args(annotation):
        for inner in arguments[:1] if get_origin(annotation) is Annotated else arguments:
            yield from kinds_of(inner)
    else:
        yield annotation


SWEEPABLE = [
    name
    for name, field in JobRecipe.model_fields.items()
    if {*kinds_of(field.annotation)} & {int, float, Literal}
]
"""The fields that are numbers or choices."""
