"""From a record to what a picture's page shows. Pure: it opens no file and knows no place."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from daemon.outbox.gallery.amounts import (
    bytes_in_words,
    moment,
    seconds_in_words,
    size_in_words,
    time_in_words,
)
from daemon.outbox.gallery.curves import TOTAL, chart_of
from daemon.outbox.gallery.reading import Data, listed, mapping, number, text, whole
from daemon.outbox.gallery.recipe_words import fields_of, recipe_in_words
from daemon.outbox.gallery.view import Fact, PassRow, PictureLinks, PictureView

DONE = "done"
SHOWN_ID = 8
REMEDIES = {
    "failed": "Mend what the reason names, then type: atelierd retry {job}; or drop the picture "
    "again.",
    "cancelled": "To have it painted after all, type: atelierd retry {job}; or drop the picture "
    "again.",
}


def view_of(record: Data, links: PictureLinks, zone: tzinfo) -> PictureView:
    """What a picture's page shows of its record.

    zone: whose clock times are told by.  Never raises: what a record does not tell is left out.
    """
    picture, state = mapping(record.get("picture")), text(record.get("state")) or DONE
    rows = [mapping(one) for one in listed(record.get("passes"))]
    names = loss_names(rows)
    job, finished_at = text(record.get("id")), text(record.get("finished_at"))
    return PictureView(
        job=job,
        name=text(picture.get("name")) or "a picture",
        preset=text(record.get("preset")),
        label=text(record.get("label")),
        state=state,
        finished_at=finished_at,
        finished=time_in_words(finished_at, zone),
        links=links,
        recipe=recipe_in_words(record),
        fields=fields_of(mapping(record.get("recipe"))),
        facts=tuple(facts_of(record, zone)),
        passes=[pass_row(row, names) for row in rows],
        loss_names=names,
        chart=chart_of(mapping(record.get("course")), [size_of(row) for row in rows]),
        reason=text(record.get("reason")),
        remedy=REMEDIES.get(state, "").format(job=job[:SHOWN_ID]),
        warnings=[text(one) for one in listed(record.get("warnings")) if text(one)],
    )


def loss_names(passes: Sequence[Data]) -> list[str]:
    """The losses that passes tell, the total first."""
    names = dict.fromkeys(name for row in passes for name in mapping(row.get("loss")))
    return sorted(map(text, names), key=lambda name: (name != TOTAL, name))


def pass_row(row: Data, names: Sequence[str]) -> PassRow:
    """One pass in words."""
    losses, seconds = mapping(row.get("loss")), number(row.get("seconds"))
    values = [number(losses.get(name)) for name in names]
    return PassRow(
        size_of(row),
        whole(row.get("steps")),
        seconds_in_words(seconds) if seconds is not None else "",
        ["" if value is None else f"{value:.3g}" for value in values],
    )


def size_of(row: Data) -> str:
    """The size of a pass or picture, short."""
    return f"{whole(row.get('width_px'))} × {whole(row.get('height_px'))}"


def result_px(record: Data) -> tuple[int, int]:
    """Width and height of a result: its last pass's, or 0."""
    passes = listed(record.get("passes"))
    last = mapping(passes[-1]) if passes else {}
    return whole(last.get("width_px")), whole(last.get("height_px"))


def photograph_px(record: Data) -> tuple[int, int]:
    """Width and height of a photograph, or 0."""
    picture = mapping(record.get("picture"))
    return whole(picture.get("width_px")), whole(picture.get("height_px"))


def facts_of(record: Data, zone: tzinfo) -> Iterator[Fact]:
    """What else there is to tell, a line each."""
    pairs = (*of_pictures(record), *of_times(record, zone), *of_the_work(record))
    yield from (Fact(name, told) for name, told in pairs if told)


def of_pictures(record: Data) -> Iterator[tuple[str, str]]:
    picture = mapping(record.get("picture"))
    size, form = size_in_words(*photograph_px(record)), text(picture.get("format"))
    volume = bytes_in_words(whole(picture.get("bytes")))
    yield "painting", size_in_words(*result_px(record))
    yield "photograph", ", ".join(filter(None, (size, form, volume)))
    shares = mapping(mapping(record.get("regions")).get("shares"))
    known = {text(name): number(share) for name, share in shares.items()}
    yield "regions", ", ".join(f"{name} {share:.0%}" for name, share in known.items() if share)
    faces = record.get("faces")
    if isinstance(faces, list):
        yield "faces", str(len(faces)) if faces else "none found"


def of_times(record: Data, zone: tzinfo) -> Iterator[tuple[str, str]]:
    queued, started = text(record.get("queued_at")), text(record.get("started_at"))
    yield "dropped", time_in_words(queued, zone)
    began, begun = moment(queued, zone), moment(started, zone)
    if began and begun and (begun - began).total_seconds() >= 1:
        yield "waited", seconds_in_words((begun - began).total_seconds())
    seconds = number(record.get("seconds"))
    yield "took", seconds_in_words(seconds) if seconds else ""
    yield "finished", time_in_words(text(record.get("finished_at")), zone)


def of_the_work(record: Data) -> Iterator[tuple[str, str]]:
    starts = whole(record.get("starts"))
    yield "device", " ".join(filter(None, (text(record.get("device")), text(record.get("dtype")))))
    yield "node", text(record.get("node"))
    memory = whole(record.get("peak_memory_bytes"))
    yield "memory", bytes_in_words(memory) if memory else ""
    yield "weights", text(mapping(record.get("weights")).get("name"))
    seed = record.get("seed")
    yield "seed", str(seed) if isinstance(seed, int) else ""
    yield "starts", str(starts) if starts > 1 else ""
    same_as = text(record.get("same_as"))
    yield "same as", f"job {same_as[:SHOWN_ID]}, whose result this is" if same_as else ""
    yield "atelierd", text(record.get("version"))
    yield "job", text(record.get("id"))
