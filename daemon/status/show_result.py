"""How a result was made, as text."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from daemon.status.report import in_words
from daemon.status.show import escape, make_console, plain_table

TOLD_BY = {
    "note": "the note in the file",
    "record": "the record beside it; the file holds no note",
    "ledger": "the queue",
}


def print_made(told: Mapping[str, Any]) -> None:
    """What `show` tells, a line for each thing; the command last, to be copied whole."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in lines(told):
        table.add_row(name, escape(value))
    console = make_console()
    console.print(table)
    if told["styles"]:
        console.print(styles_table(told))
    if told["command"]:
        console.print(f"again: {escape(told['command'])}", soft_wrap=True)


def lines(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What there is to tell, and what it is called."""
    size = f"{told['width_px']}x{told['height_px']} px {told['format']}" if told["format"] else ""
    proof = "a proof" if told["proof"] else ""
    yield "file", ", ".join(filter(None, (told["file"], size, proof)))
    yield "told by", TOLD_BY[told["told_by"]]
    if told["id"]:
        yield "job", " ".join(filter(None, (told["id"], told["state"])))
    yield "preset", " ".join(filter(None, (told["preset"], told["label"])))
    yield "settings", settings_text(told["settings"]) or "every one the default"
    if told["last_loss"]:
        yield "losses", losses_text(told["first_loss"] or {}, told["last_loss"])
    if told["runs_on"]:
        yield "runs on", told["runs_on"]
    yield from circumstances(told)


def circumstances(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """By what, when and how long, and what was worth a word."""
    if told["seconds"]:
        where = f" on {told['device']}" if told["device"] else ""
        where += f" of {told['node']}" if told["node"] else ""
        ended = f", ended {told['finished_at']}" if told["finished_at"] else ""
        yield "time", f"{in_words(told['seconds'])}{where}{ended}"
    weights = told["weights"] or {}
    yield "version", f"{told['version']}, weights {weights.get('name', 'unknown')}"
    if told["same_as"]:
        yield "same as", f"job {told['same_as']}, whose result this is"
    for warning in told["warnings"] or ():
        yield "warning", str(warning)
    if told["reason"]:
        yield "reason", told["reason"]
    if told["difference"]:
        yield "now", told["difference"]


def settings_text(settings: Mapping[str, Any]) -> str:
    """Fields of a recipe as YAML has them, one after the other."""
    return ", ".join(f"{key}: {setting_text(value)}" for key, value in settings.items())


def setting_text(value: object) -> str:
    """A value of a field as one may write it."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case Mapping():
            return f"{{{settings_text(value)}}}"
        case list() | tuple():
            return f"[{', '.join(map(setting_text, value))}]"
    return str(value)


def losses_text(first: Mapping[str, float], last: Mapping[str, float]) -> str:
    """Each loss at the first step of all and at the last."""
    return ", ".join(
        f"{name} {first[name]:.4g} to {loss:.4g}" if name in first else f"{name} {loss:.4g}"
        for name, loss in last.items()
    )


def styles_table(told: Mapping[str, Any]) -> Table:
    """The style images, and where each lies by its hash."""
    table = plain_table("style image", "weight", "sha256", "is")
    for style in told["styles"]:
        where = style["found"] or "not in the presets folder under any name; put it there"
        name = f"{style['name']} in {style['region']}" if "region" in style else style["name"]
        table.add_row(escape(name), f"{style['weight']:g}", style["sha256"], escape(where))
    return table
