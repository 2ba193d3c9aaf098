"""What others rely on stays as it was: records, what a worker says, and checkpoints.

The files in `tests/golden` were written by `python -m tests.integration.test_golden`, which is to
be run anew only where something has been added on purpose.
"""

import io
import json
import re
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import safetensors

from daemon.engine.checkpoint import of_today
from daemon.engine.judgement import Judgement
from daemon.engine.vgg import arithmetic
from daemon.engine.vgg.timings import Trial, keep_trial
from daemon.host.files import sha256_of
from daemon.job import ClaimedPicture, Job, Outputs, PictureState, State, StyleRef
from daemon.messages import Blob, OrderedStyle, RunOrder, WorkerSettings, to_done
from daemon.outbox.record import make_record
from daemon.worker.child import Worker

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
STYLE = ROOT / "presets" / "starry.jpg"
PHOTOGRAPH = ROOT / "docs" / "images" / "chelsea.jpg"
STEPS, STOPPED_AFTER = 4, 2
RECIPE = {
    "beta": 20.0,
    "size": 64,
    "steps": STEPS,
    "tv": 0.0,
    "statistics": "gram",
    "preconditioner": "fourier",
    "style_layers": {f"relu{block}_1": 1.0 for block in range(1, 6)},
}
UNLIKE = {
    "seconds",
    "predicted_bytes",
    "held_bytes",
    "budget_bytes",
    "peak_memory_bytes",
    "result_bytes",
    "result_sha256",
    "version",
    "total",
    "content",
    "style",
    "falling",
    "threads",
    *(field.name for field in fields(Judgement)),
}
"""What differs from run to run, or from processor to processor: only its kind is compared."""


class Wire(io.StringIO):
    """What a worker says; cancels its run after some steps."""

    def __init__(self, after: int | None) -> None:
        super().__init__()
        self.worker: Worker | None = None
        self._left = after

    def write(self, text: str) -> int:
        if self._left is not None and '"progress"' in text:
            self._left -= 1
            if self._left == 0 and self.worker is not None:
                self.worker.cancel("run")
        return super().write(text)

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


def said(
    folder: Path, after: int | None = None, *, picture: Path = PHOTOGRAPH, proof: bool = False
) -> list[dict[str, Any]]:
    """All that a worker says of a small painting in `folder`, cancelled after some steps."""
    engine = folder / "engine"
    engine.mkdir(exist_ok=True)
    plain = {name: 0.1 if name.startswith("float32 direct") else 1.0 for name in arithmetic.ways()}
    keep_trial(engine, arithmetic.machine_key(), Trial(plain, others=0.0))
    wire = Wire(after)
    settings = WorkerSettings("cpu", "classic", engine, "float32", checkpoint_s=1000.0)
    wire.worker = Worker(settings, wire)
    order = RunOrder(
        name="chelsea.jpg",
        picture=Blob("", picture),
        max_pixels=1_000_000,
        recipe=RECIPE,
        styles=(OrderedStyle(STYLE.name, Blob(sha256_of(STYLE), STYLE), 1.0),),
        result=folder / "result",
        checkpoint=folder / "checkpoint",
        preview=folder / "preview",
        memory_bytes=None,
        note={"id": "x", "preset": "starry", "seed": 0},
        proof=proof,
    )
    wire.worker.run("run", order)
    return wire.messages()


def likeness(value: Any, key: str = "") -> Any:
    """A message without what differs from run to run."""
    if key in UNLIKE and not isinstance(value, dict):
        return type(value).__name__
    match value:
        case dict():
            return {inner: likeness(one, inner) for inner, one in value.items()}
        case list():
            return [likeness(one) for one in value]
        case str() if key in ("text", "path"):
            return re.sub(r"[\d.]+(e-?\d+)?", "#", value if key == "text" else Path(value).name)
        case _:
            return value


def transcript(folder: Path) -> list[str]:
    """What is said of a whole painting."""
    return lines_of(said(folder))


def lines_of(messages: list[dict[str, Any]]) -> list[str]:
    """One line for each message; previews come when there is time."""
    lines = (likeness(one) for one in messages if one.get("event") != "preview")
    return [json.dumps(line, sort_keys=True) for line in lines]


def endings(folder: Path) -> list[str]:
    """What is said of a run that is cancelled, of one that fails, and how a proof ends."""
    places = [folder / name for name in ("cancelled", "failed", "proof")]
    for place in places:
        place.mkdir()
    cancelled = said(places[0], STOPPED_AFTER)
    failed = said(places[1], picture=Path(__file__))
    proof = said(places[2], proof=True)
    return lines_of([*cancelled, *failed, proof[-1]])


def record() -> dict[str, Any]:
    """The record of a job with a value in every field."""
    losses = {"total": 3.0, "content": 1.0, "style": 0.1}
    job = Job(
        id="0123456789abcdef0123456789abcdef",
        picture_id="p",
        preset="starry",
        below=Path("2024/photo.jpg"),
        recipe={"size": 64, "seed": 7},
        styles=(StyleRef("starry.jpg", "ab", 1.0),),
        priority=0,
        state=State.PUBLISHING,
        verdict=State.DONE,
        starts=2,
        cancel_requested=False,
        queued_at="2026-11-01T10:00:00.000Z",
        started_at="2026-11-01T10:00:05.000Z",
        finished_at="2026-11-01T10:01:00.000Z",
        outcome=to_done(
            {
                "ok": True,
                "width_px": 64,
                "height_px": 43,
                "device": "cpu",
                "dtype": "float32",
                "weights": {"name": "classic", "sha256": "cd"},
                "passes": [
                    {
                        "width_px": 64,
                        "height_px": 43,
                        "steps": 4,
                        "seconds": 1.5,
                        "converged": False,
                        "plan": {"tile_px": None, "history": 20},
                        "loss": losses,
                    }
                ],
                "first_loss": losses,
                "last_loss": losses,
                "seconds": 55.0,
                "peak_memory_bytes": 123,
                "warnings": ["w"],
                "same_as": "fedc",
                "result_sha256": "ef",
                "result_bytes": 9,
            }
        ),
        outputs=Outputs(result="starry/2024/photo.jpg"),
        reason="why",
        warnings=("w",),
    )
    picture = ClaimedPicture(
        "p", Path("starry/2024/photo.jpg"), (), PictureState.CLAIMED, "aa", 9, 64, 43
    )
    return make_record(job, picture, job.outputs) | {"version": "V"}


def test_record_is_written_as_ever() -> None:
    assert json.dumps(record(), indent=2) + "\n" == (GOLDEN / "record.json").read_text()


def test_worker_says_what_it_always_said(tmp_path: Path) -> None:
    assert transcript(tmp_path) == (GOLDEN / "wire.jsonl").read_text().splitlines()


def test_worker_says_what_it_always_said_of_runs_that_end_otherwise(tmp_path: Path) -> None:
    assert endings(tmp_path) == (GOLDEN / "endings.jsonl").read_text().splitlines()


def test_checkpoint_has_the_form_it_always_had(tmp_path: Path) -> None:
    assert said(tmp_path, STOPPED_AFTER)[-1]["event"] == "cancelled"
    forms, threads = [], []
    for path in (tmp_path / "checkpoint", GOLDEN / "checkpoint"):
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["atelierd"])
            facts["identity"] = of_today(facts["identity"])
            threads.append(facts.pop("threads", None))  # told since, and not needed to go on
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
        forms.append((shapes, likeness(facts)))
    assert forms[0] == forms[1]
    ((one,), none) = threads
    assert (one["from_pass"], one["from_step"], none) == (1, 1, None)


def test_checkpoint_of_an_earlier_version_is_gone_on_from(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "checkpoint", tmp_path / "checkpoint")
    *before, last = said(tmp_path)
    assert last["result"]["ok"], last
    told = [one["text"] for one in before if one["event"] == "log"]
    assert f"goes on after step {STOPPED_AFTER} of pass 1" in told
    steps = [one["number"] for one in before if one["event"] == "progress"]
    assert steps == list(range(STOPPED_AFTER + 1, STEPS + 1))


def main() -> None:
    """Writes the golden files anew."""
    import tempfile

    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / "record.json").write_text(json.dumps(record(), indent=2) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        lines = transcript(Path(folder))
        (GOLDEN / "wire.jsonl").write_text("".join(f"{line}\n" for line in lines))
    with tempfile.TemporaryDirectory() as folder:
        lines = endings(Path(folder))
        (GOLDEN / "endings.jsonl").write_text("".join(f"{line}\n" for line in lines))
    with tempfile.TemporaryDirectory() as folder:
        said(Path(folder), STOPPED_AFTER)
        shutil.copy(Path(folder) / "checkpoint", GOLDEN / "checkpoint")


if __name__ == "__main__":
    main()
