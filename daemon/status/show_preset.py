"""What one preset asks for, as text."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from daemon.status.report import in_words
from daemon.status.show import escape, make_console, plain_table
from daemon.status.show_result import settings_text


def print_preset(told: Mapping[str, Any]) -> None:
    """What `presets NAME` tells: what is to be mended last, where it is seen."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    result = told["result"]
    of_several = f", the largest of {told['pictures']}" if told["sweep"] else ""
    size = f"{result['width_px']}x{result['height_px']} px of a picture of 3:2{of_several}"
    for name, value in (
        ("preset", f"{told['preset']} ({told['file']})"),
        ("settings", settings_text(told["settings"]) or "every one the default"),
        ("sweep", settings_text(told["sweep"]) or "nothing"),
        ("result", size),
        ("time", time_text(told)),
        ("memory", memory_text(told["memory_bytes"])),
    ):
        table.add_row(name, escape(value))
    console = make_console()
    console.print(table)
    console.print(styles_table(told))
    for style in told["styles"]:
        if style["advice"]:
            console.print(f"[yellow]small[/yellow]  {escape(style['advice'])}")
    for text in (*told["faults"], *filter(None, (told["warning"],))):
        console.print(f"[bold red]mend[/bold red]   {escape(text)}")


def time_text(told: Mapping[str, Any]) -> str:
    """How long one picture may take."""
    if told["seconds"] is None:
        return "not known before a first job has been painted"
    by = f"{told['alike']} jobs of this preset" if told["alike"] else "jobs of other presets"
    return f"about {in_words(told['seconds'])}, by {by}"


def memory_text(memory_bytes: int | None) -> str:
    """How much memory one picture may take."""
    if memory_bytes is None:
        return "not known before a job of about this size has been painted"
    return f"about {memory_bytes / 1e9:.1f} GB, by jobs of about this size"


def styles_table(told: Mapping[str, Any]) -> Table:
    """The style images, what they are and what is asked of them."""
    table = plain_table("style image", "weight", "size", "longest side needed")
    for style in told["styles"]:
        size = f"{style['width_px']}x{style['height_px']} px"
        needs = f"{style['needs_px']} px"
        image = f"{style['image']} in {style['region']}" if "region" in style else style["image"]
        table.add_row(escape(image), f"{style['weight']:g}", size, needs)
    return table
