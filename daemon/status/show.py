"""Status, presets and progress as text: in colour on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live as Screen
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from daemon.status.live import Live, RunningJob, follow
from daemon.status.report import Finding, in_words

if TYPE_CHECKING:  # presets read pictures, and `status` must answer fast
    from daemon.presets import Shelf

PLAIN_EVERY_S = 10.0
WATCH_S = 1.0


def on_terminal() -> bool:
    """Whether a person looks at the standard error, where progress goes."""
    return sys.stderr.isatty()


def make_bars() -> Progress:
    """Progress bars with step, loss and ETA."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[loss]}"),
        TextColumn("ETA {task.fields[eta]}"),
        console=Console(stderr=True),
        transient=True,
    )


def loss_text(job: RunningJob) -> str:
    """The losses in a few characters."""
    if job.total is None:
        return "starting"
    return f"loss {job.total:.3g} (content {job.content:.3g}, style {job.style:.3g})"


@contextlib.contextmanager
def service_progress(*, plain: bool) -> Iterator[Callable[[Live], None]]:
    """Shows a service's running jobs in bars on a terminal.

    plain: elsewhere print a line now and then; a service that runs for ever leaves it to its log.
    """
    if not on_terminal():
        ticker = Ticker()

        def tell(live: Live) -> None:
            for job in live.running if plain else ():
                ticker.tell(job)

        yield tell
        return
    bars = make_bars()
    tasks: dict[str, TaskID] = {}

    def show(live: Live) -> None:
        for job in live.running:
            if job.id not in tasks:
                tasks[job.id] = bars.add_task("", total=1, loss="", eta="")
            update(bars, tasks[job.id], job)
        for gone in set(tasks) - {job.id for job in live.running}:
            bars.remove_task(tasks.pop(gone))

    with bars:  # rich lets what is logged meanwhile appear above the bars
        yield show


class Ticker:
    """Plain progress lines on standard error, not more than one in ten seconds a job."""

    def __init__(self) -> None:
        self._told_s: dict[str, float] = {}

    def tell(self, job: RunningJob) -> None:
        """Says how far a job is, unless it was said a moment ago; its last step always."""
        now_s = time.monotonic()
        recently = now_s - self._told_s.get(job.id, -PLAIN_EVERY_S) < PLAIN_EVERY_S
        if job.steps == 0 or (recently and job.step < job.steps):
            return
        self._told_s[job.id] = now_s
        line = f"step {job.step}/{job.steps}, {loss_text(job)}, ETA {in_words(job.eta_s)}"
        print(f"{job.picture}: {line}", file=sys.stderr, flush=True)


def update(bars: Progress, task: TaskID, job: RunningJob) -> None:
    """Brings a bar up to its job."""
    bars.update(
        task,
        description=f"{escape(job.picture)} → {job.preset}",
        total=max(job.steps, 1),
        completed=job.step,
        loss=loss_text(job),
        eta=in_words(job.eta_s),
    )


@contextlib.contextmanager
def single_progress(name: str) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Shows one picture's progress: a bar on a terminal, else a line every ten seconds."""
    job = RunningJob("", name, "", "")
    if on_terminal():
        bars = make_bars()
        task = bars.add_task(escape(name), total=1, loss="starting", eta="unknown")

        def draw(message: Mapping[str, Any]) -> None:
            follow(job, message)
            update(bars, task, job)

        with bars:
            yield draw
        return
    ticker = Ticker()

    def tell(message: Mapping[str, Any]) -> None:
        follow(job, message)
        ticker.tell(job)

    yield tell


def print_status(report: Mapping[str, Any]) -> None:
    """The report of `atelierd status` as text."""
    make_console().print(render_status(report), end="")


def watch_status(look: Callable[[], Mapping[str, Any]]) -> None:
    """Shows the report again and again until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt), Screen(console=make_console()) as screen:
        while True:
            screen.update(render_status(look()))
            time.sleep(WATCH_S)


def make_console() -> Console:
    """Standard output; as wide as its lines where nobody looks, so that nothing is cut."""
    return Console() if sys.stdout.isatty() else Console(width=500, highlight=False)


def render_status(report: Mapping[str, Any]) -> RenderableType:
    """Service, queue, running and recent jobs, one under the other."""
    service = report["service"]
    where = f"running, pid {service['pid']}, on {', '.join(service['devices'])}"
    state = f"[green]{where}[/green]" if service["running"] else "[yellow]not running[/yellow]"
    jobs = report["jobs"]
    counts = ", ".join(f"{count} {name}" for name, count in jobs.items() if count) or "empty"
    parts: list[RenderableType] = [f"service  {state}", f"queue    {counts}"]
    for part, trouble in report["health"].items():
        parts.append(f"[bold red]trouble[/bold red]  {part}: {escape(trouble)}")
    if report["running"]:
        parts.append(running_table(report["running"]))
    if report["recent"]:
        parts.append(recent_table(report["recent"]))
    return Group(*parts)


def running_table(running: Sequence[Mapping[str, Any]]) -> Table:
    """The jobs at work."""
    table = plain_table("job", "picture", "preset", "device", "pass", "step", "loss", "ETA")
    for row in running:
        job = RunningJob(**row)
        table.add_row(
            job.id[:8], escape(job.picture), job.preset, job.device,
            f"{job.pass_number}/{job.passes}", f"{job.step}/{job.steps}",
            loss_text(job), in_words(job.eta_s),
        )  # fmt: skip
    return table


def recent_table(recent: Sequence[Mapping[str, Any]]) -> Table:
    """The jobs that ended last."""
    table = plain_table("job", "ended", "state", "seconds", "where or why")
    colours = {"done": "green", "failed": "red", "cancelled": "yellow"}
    for row in recent:
        colour = colours[row["state"]]
        seconds = f"{row['seconds']:.0f}" if row["seconds"] else "-"
        text = row["output"] if row["state"] == "done" else row["reason"]
        table.add_row(
            row["id"][:8], (row["finished_at"] or "")[:19], f"[{colour}]{row['state']}[/{colour}]",
            seconds, escape(text or ""),
        )  # fmt: skip
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
                "styles": [
                    {"image": style.path.name, "weight": style.weight} for style in preset.styles
                ],
            }
            for name, preset in sorted(shelf.good.items())
        },
        "faulty": {
            name: [str(fault) for fault in faults] for name, faults in sorted(shelf.faulty.items())
        },
    }


def print_presets(shelf: "Shelf") -> None:
    """The presets as text, the wrong ones with every fault."""
    table = plain_table("preset", "styles", "size", "steps", "beta", "content", "style layers")
    for name, preset in sorted(shelf.good.items()):
        recipe = preset.recipe
        images = ", ".join(style.path.name for style in preset.styles)
        table.add_row(
            name, images, str(recipe.size), str(recipe.steps), f"{recipe.beta:g}",
            " ".join(recipe.content_layers), " ".join(recipe.style_layers),
        )  # fmt: skip
    console = make_console()
    console.print(table)
    for name, faults in sorted(shelf.faulty.items()):
        console.print(f"[bold red]{name}[/bold red] cannot be used:")
        for fault in faults:
            console.print(f"  {escape(str(fault))}")


def print_findings(findings: Sequence[Finding]) -> None:
    """What the doctor found."""
    table = plain_table("", "check", "finding")
    for finding in findings:
        mark = "[green]ok[/green]" if finding.ok else "[bold red]mend[/bold red]"
        table.add_row(mark, finding.what, escape(finding.detail))
    make_console().print(table)
