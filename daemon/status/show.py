"""Status, presets and findings as text: in colour on a terminal, plain lines elsewhere."""

import io
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console, Group, RenderableType
from rich.live import Live as Screen
from rich.markup import escape as without_markup
from rich.table import Table

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.job import State
from daemon.messages import known
from daemon.status.live import RunningJob, loss_text
from daemon.status.report import Finding, devices_text, in_words, lacking_text

if TYPE_CHECKING:  # presets read pictures, and `status` must answer fast
    from daemon.settings.presets import Shelf

WATCH_S = 1.0
FOREIGN = "in the inbox that are no pictures stay there; atelierd doctor names them"


def print_status(report: Mapping[str, Any]) -> None:
    """The report of `atelierd status` as text."""
    make_console().print(render_status(report), end="")


def print_json(data: object) -> None:
    """Data as JSON that every program can read, whatever names there are."""
    print(json.dumps(readable(data), indent=2, allow_nan=False))


def readable(data: object) -> object:
    """The same without what JSON has no word for: stray bytes of names, numbers that are none."""
    match data:
        case str():
            return data.encode("utf-8", "backslashreplace").decode()
        case float():
            return data if math.isfinite(data) else None
        case Mapping():
            return {str(readable(key)): readable(value) for key, value in data.items()}
        case list() | tuple():
            return [readable(value) for value in data]
    return data


def status_text(report: Mapping[str, Any]) -> str:
    """The report as plain text, for a log."""
    console = Console(file=io.StringIO(), width=500, highlight=False)
    with console.capture() as captured:
        console.print(render_status(report), end="")
    return captured.get()


def watch_status(look: Callable[[], Mapping[str, Any]], *, as_json: bool) -> None:
    """Shows the report again and again, in its place on a terminal; ends by KeyboardInterrupt."""
    console = make_console()
    if as_json or not sys.stdout.isatty() or console.is_dumb_terminal:
        again_and_again(lambda: print_json(told(look)) if as_json else console.print(watched(look)))
    with Screen(console=console, auto_refresh=False) as screen:
        again_and_again(lambda: screen.update(watched(look), refresh=True))


def again_and_again(show: Callable[[], None]) -> NoReturn:
    """Calls `show` every second, what it prints appearing at once; ends by KeyboardInterrupt."""
    while True:
        show()
        sys.stdout.flush()
        time.sleep(WATCH_S)


def told(look: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """The report as it is now, or an `error`, as plain data."""
    try:
        return look()
    except SurroundingsError as error:
        return {"error": str(error)}


def watched(look: Callable[[], Mapping[str, Any]]) -> RenderableType:
    """The report as it is now, or why there is none: who watches wants to see it come back."""
    try:
        return render_status(look())
    except SurroundingsError as error:
        return escape(str(error))


def escape(text: str) -> str:
    """A text that is shown as it is: no markup, no half a line, no command to the terminal."""
    return without_markup(files.printable(text))


def make_console() -> Console:
    """Standard output; as wide as its lines where nobody looks, so that nothing is cut."""
    return Console() if sys.stdout.isatty() else Console(width=500, highlight=False)


def render_status(report: Mapping[str, Any]) -> RenderableType:
    """Service, queue, running and recent jobs, one under the other."""
    service = report["service"]
    where = escape(f"running, pid {service['pid']}, on {devices_text(service['devices'])}")
    state = f"[green]{where}[/green]" if service["running"] else "[yellow]not running[/yellow]"
    jobs = report["jobs"]
    counts = ", ".join(f"{count} {name}" for name, count in jobs.items() if count) or "empty"
    parts: list[RenderableType] = [f"service  {state}", f"queue    {counts}"]
    if report["paused_since"]:
        parts.append(
            f"[yellow]paused[/yellow]   since {escape(report['paused_since'])}; atelierd resume"
        )
    for name, queue in report["queues"].items():
        if queue["waiting"] or not queue["open"]:
            parts.append(f"{name: <8} {queue_line(queue)}")
    for device in report["left_to_others"]:
        parts.append(f"[yellow]left[/yellow]     {escape(device)} to another program that needs it")
    parts += [f"[yellow]lacks[/yellow]    {escape(lacking_text(one))}" for one in report["lacking"]]
    for part, trouble in report["health"].items():
        parts.append(f"[bold red]trouble[/bold red]  {escape(part)}: {escape(trouble)}")
    parts += wait_lines(report)
    if report["running"]:
        parts.append(running_table(report["running"]))
    if report["proofs"]:
        parts += proofs_part(report["proofs"], jobs[State.AWAITING])
    if report["recent"]:
        parts.append(recent_table(report["recent"]))
    return Group(*parts)


def wait_lines(report: Mapping[str, Any]) -> list[str]:
    """What lies in the inbox and does not get on, a line each, and what others have claimed."""
    lines = []
    for wait in report["waits"]:
        colour = "bold red" if wait["mend"] else "yellow"
        text = escape(f"{wait['path']} {wait['why']} (since {wait['since']})")
        lines.append(f"[{colour}]waits[/{colour}]    {text}")
    if report["waits_more"]:
        lines.append(f"[yellow]waits[/yellow]    and {report['waits_more']} more")
    if report["foreign"]:
        lines.append(f"foreign  {report['foreign']} {FOREIGN}")
    return [*lines, *(f"others   {escape(words)}" for words in report["others"])]


def queue_line(queue: Mapping[str, Any]) -> str:
    """A queue's forecast in a line."""
    parts = [f"{queue['waiting']} waiting"]
    if queue["waiting"] and queue["seconds"] is not None:
        parts.append(f"about {in_words(queue['seconds'])}")
    if queue["changes_at"]:
        parts.append(f"{'open until' if queue['open'] else 'opens'} {clock(queue['changes_at'])}")
    if queue["waiting"] and queue["window_fits"] is not None:
        fits = "" if queue["window_fits"] else "not "
        parts.append(f"the window is {fits}long enough")
    if queue["done_at"]:
        parts.append(f"done about {clock(queue['done_at'])}")
    return ", ".join(parts)


def clock(moment: str) -> str:
    """Day and time of an ISO 8601 text, as on a clock at the wall."""
    return f"{datetime.fromisoformat(moment):%a %d %b %H:%M}"


def running_table(running: Sequence[Mapping[str, Any]]) -> Table:
    """The jobs at work."""
    table = plain_table("job", "picture", "preset", "device", "pass", "step", "loss", "ETA")
    for row in running:
        job = known(RunningJob, row)
        table.add_row(
            escape(job.id[:8]),
            escape(job.picture + "".join(f" ({what})" for what in told_apart(job))),
            escape(job.preset),
            escape(job.device),
            f"{job.pass_number}/{job.passes}",
            f"{job.step}/{job.steps}",
            loss_text(job),
            in_words(job.eta_s),
        )
    return table


def told_apart(job: RunningJob) -> Iterator[str]:
    """What a running job is of its picture, where it is not simply that in its preset."""
    if job.label:
        yield job.label
    if job.proof:
        yield "proof"


def proofs_part(proofs: Sequence[Mapping[str, Any]], count: int) -> list[RenderableType]:
    """The proofs that wait for approval, the oldest first.  count: of all there are."""
    table = plain_table("job", "since", "full size", "will take", "proof that waits for approval")
    for row in proofs:
        full = row["full"] or {"width_px": "?", "height_px": "?", "seconds": None}
        table.add_row(
            row["id"][:8],
            (row["finished_at"] or "")[:19],
            f"{full['width_px']}x{full['height_px']}",
            "-" if full["seconds"] is None else in_words(full["seconds"]),
            escape(row["output"]),
        )
    more = [f"[yellow]proofs[/yellow]   and {count - len(proofs)} more wait for approval"]
    return [table, *(more if count > len(proofs) else [])]


def recent_table(recent: Sequence[Mapping[str, Any]]) -> Table:
    """The jobs that ended last."""
    table = plain_table("job", "ended", "state", "seconds", "where or why")
    colours = {"done": "green", "failed": "red", "cancelled": "yellow"}
    for row in recent:
        colour = colours[row["state"]]
        seconds = f"{row['seconds']:.0f}" if row["seconds"] else "-"
        why = f"{row['label']}: {row['reason']}" if row.get("label") else row["reason"]
        text = row["output"] if row["state"] == "done" else why
        table.add_row(
            row["id"][:8],
            (row["finished_at"] or "")[:19],
            f"[{colour}]{row['state']}[/{colour}]",
            seconds,
            escape(text or ""),
        )
    return table


def plain_table(*columns: str) -> Table:
    """A table without lines."""
    table = Table(*columns, box=None, pad_edge=False, header_style="dim")
    return table


def shelf_report(shelf: "Shelf") -> dict[str, Any]:
    """The presets as plain data."""
    return {
        "good": {
            name: {
                "recipe": preset.recipe.model_dump(),
                **({"sweep": preset.sweep} if preset.sweep else {}),
                "styles": [
                    {"image": style.path.name, "weight": style.weight} for style in preset.styles
                ],
            }
            for name, preset in sorted(shelf.good.items())
        },
        "faulty": {
            name: [str(fault) for fault in faults] for name, faults in sorted(shelf.faulty.items())
        },
        "last_good_used": {
            name: preset.warning for name, preset in sorted(shelf.last_good.items())
        },
    }


def print_presets(shelf: "Shelf") -> None:
    """The presets as text, the wrong ones with every fault."""
    table = plain_table("preset", "styles", "size", "effort", "beta", "content", "style layers")
    for name, preset in sorted(shelf.good.items()):
        recipe = preset.recipe
        images = ", ".join(style.path.name for style in preset.styles)
        table.add_row(
            escape(name),
            escape(images),
            str(recipe.size),
            f"{recipe.steps} steps" if recipe.steps else recipe.effort,
            f"{recipe.beta:g}",
            " ".join(recipe.content_layers),
            " ".join(recipe.style_layers),
        )
    console = make_console()
    if not shelf.names:
        folder = escape(files.printable(shelf.folder))
        console.print(f"no presets in {folder}: put a preset's YAML or a style image there")
        return
    console.print(table)
    for name, faults in sorted(shelf.faulty.items()):
        console.print(f"[bold red]{escape(name)}[/bold red] cannot be used:")
        for fault in faults:
            console.print(f"  {escape(str(fault))}")
        if name in shelf.last_good:
            console.print(f"  {escape(shelf.last_good[name].warning)}")


def print_findings(findings: Sequence[Finding]) -> None:
    """What the doctor found."""
    table = plain_table("", "check", "finding")
    for finding in findings:
        mark = "[green]ok[/green]" if finding.ok else "[bold red]mend[/bold red]"
        table.add_row(mark, escape(finding.what), escape(finding.detail))
    make_console().print(table)
