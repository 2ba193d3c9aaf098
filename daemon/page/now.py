"""What goes on at this moment: each running picture as it comes about, and how the service is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.job import State
from daemon.ledger.store import Ledger
from daemon.outbox.gallery.curves import chart_of
from daemon.outbox.gallery.view import Card, Chart, ShownPicture, shape_of
from daemon.page.cards import card_of
from daemon.page.frame import show
from daemon.page.site import Site, site_of
from daemon.status.report import devices_text, gather, in_words, lacking_text

RECENT = 12


@dataclass(frozen=True)
class RunningCard:
    """A picture at work. preview: None until there is one.  shape: the stylesheet's class."""

    job: str
    name: str
    preset: str
    label: str
    device: str
    kind: str
    step: int
    steps: int
    share: str
    eta: str
    preview: ShownPicture | None
    shape: str
    losses: Sequence[tuple[str, str]]
    chart: Chart | None


@dataclass(frozen=True)
class Condition:
    """How the service is, in words, and what is to be mended, by part."""

    word: str
    sentence: str
    troubles: Sequence[tuple[str, str]] = ()


def now(request: Request) -> Response:
    """The first view."""
    site = site_of(request)
    report = gather(site.config)
    recent: list[Card] = []
    running: list[RunningCard] = []
    try:
        with site.ledger() as ledger:
            running = [running_card(site, ledger, job) for job in report["running"]]
            ended = ledger.views.ended(State.DONE, RECENT)
            recent = [card_of(job) for job in ended]
    except SurroundingsError:  # told by health, or there is no ledger yet
        pass
    waits = [(one["path"], one["why"]) for one in report["waits"]]
    return show(
        request,
        "now.html",
        "Now",
        running=running,
        health=health_of(report),
        waits=waits,
        waits_more=report["waits_more"],
        foreign=report["foreign"] or 0,
        others=report["others"],
        forecasts=list(forecasts(report)),
        recent=recent,
        inbox=report["inbox"],
    )


def health_of(report: Mapping[str, Any]) -> Condition:
    """The state of the service in words."""
    troubles = tuple(report["health"].items())
    if not report["service"]["running"]:
        told = "The service is not running. What is dropped waits in the inbox until it is started."
        return Condition("away", told, troubles)
    if troubles:
        told = "Something needs mending. What it does not touch goes on."
        return Condition("unwell", told, troubles)
    if report["paused_since"]:
        return Condition("paused", "Painting is paused. Pictures are still taken in.")
    left = report["left_to_others"]
    if left:
        told = f"{', '.join(left)} is left to another program that needs it."
        return Condition("waits", told)
    devices = devices_text(report["service"]["devices"])
    if not report["service"]["devices"]:
        return Condition("waits", "It waits for a node: none is connected.")
    return Condition("well", f"All is well; painting on {devices}.")


def forecasts(report: Mapping[str, Any]) -> Iterator[str]:
    """What waits in each queue, in a sentence, and what of it no device will do for."""
    for name, queue in report["queues"].items():
        if not queue["waiting"] and queue["open"]:
            continue
        parts = [f"{queue['waiting']} waiting in the {name} queue"]
        if queue["waiting"] and queue["seconds"] is not None:
            parts.append(f"about {in_words(queue['seconds'])} of work")
        if queue["changes_at"]:
            word = "open until" if queue["open"] else "opens"
            parts.append(f"{word} {queue['changes_at'][11:16]}")
        if queue["waiting"] and queue["window_fits"] is not None:
            fits = queue["window_fits"]
            parts.append("the window is long enough" if fits else "the window is not long enough")
        yield ", ".join(parts)
    yield from map(lacking_text, report["lacking"])


def running_card(site: Site, ledger: Ledger, live: Mapping[str, Any]) -> RunningCard:
    """A running job as its view shows it."""
    job_id, step, steps = live["id"], live["step"], live["steps"]
    width, height = picture_px(ledger, job_id)
    preview = None
    if live["preview"]:
        # Another address whenever there may be another picture.
        shown = f"/job/{job_id}/preview?step={step}"
        preview = ShownPicture(shown, width or 512, height or 512)
    course = site.watcher.courses.get(job_id)
    losses = {"total": live["total"], **live["losses"]} if live["total"] is not None else {}
    return RunningCard(
        job=job_id,
        name=files.printable(live["picture"]),
        preset=live["preset"],
        label=live["label"],
        device=live["device"],
        kind="proof" if live.get("proof") else "",
        step=step,
        steps=steps,
        share=f"{100 * step / steps:.0f} %" if steps else "",
        eta=in_words(live["eta_s"]) if live["eta_s"] is not None else "",
        preview=preview,
        shape=shape_of(width, height),
        losses=[(name, f"{loss:.4g}") for name, loss in losses.items()],
        chart=chart_of(course.columns) if course else None,
    )


def picture_px(ledger: Ledger, job_id: str) -> tuple[int, int]:
    """Width and height of a job's picture; zeros where they are not known."""
    found = ledger.jobs_by_prefix(job_id)
    picture = ledger.find_picture(found[0].picture_id) if found else None
    return (picture.width_px, picture.height_px) if picture else (0, 0)
