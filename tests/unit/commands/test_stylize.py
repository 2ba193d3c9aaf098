"""Settings on the command line, and what a proof says."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from daemon.commands.stylize import check_not_swept, describe_full, paint, settings_document
from daemon.errors import AtelierError, BadInputError, StoppedError
from daemon.messages import (
    Cancelled,
    Done,
    Failed,
    FullPicture,
    Lost,
    Outcome,
    OutOfMemory,
    PassPlan,
    RunOrder,
    WorkerSettings,
)
from daemon.pictures.form import JobRecipe
from daemon.settings.presets import Preset, override
from tests.support.pools import PuppetPool, order


def test_settings_are_read_as_yaml_values() -> None:
    document = settings_document(
        ["size=1024", "tv=1e-3", "style_layers={relu1_1: 1}", "init=noise", "gate=off"]
    )
    assert override(JobRecipe(), document) == JobRecipe(
        size=1024, tv=1e-3, style_layers={"relu1_1": 1.0}, init="noise", gate=False
    )


def test_value_may_hold_an_equals_sign() -> None:
    assert settings_document(["init=a=b"]).data == {"init": "a=b"}


@pytest.mark.parametrize(
    "setting", ["size", "size=[", "size=!!python/name:os.system x", "size=!!int ''", "size=&a [*a]"]
)
def test_setting_that_cannot_be_read_is_named(setting: str) -> None:
    with pytest.raises(BadInputError, match="--set size"):
        settings_document([setting])


@pytest.mark.parametrize("value", ["0144", "0x90", "!!int 0144"])
def test_setting_is_never_another_number_than_was_typed(value: str) -> None:
    with pytest.raises(BadInputError, match="write 144"):
        override(JobRecipe(), settings_document([f"size={value}"]))


def test_wrong_field_names_the_nearest_one() -> None:
    with pytest.raises(BadInputError, match="stesp: unknown key; did you mean `steps`"):
        override(JobRecipe(), settings_document(["stesp=5"]))


def test_sweep_of_steps_is_no_hindrance_where_an_effort_is_typed() -> None:
    swept = Preset("it", Path("it.yaml"), JobRecipe(), (), sweep={"steps": (30, 60)})
    with pytest.raises(BadInputError, match="such as --set steps=30"):
        check_not_swept(swept, settings_document(["beta=5"]))
    check_not_swept(swept, settings_document(["effort=draft"]))


def test_proof_says_how_long_the_full_picture_takes() -> None:
    full = FullPicture(4000, 3000, 9610)
    said = describe_full(full, "cpu")
    assert said == "the full picture, 4000x3000 px: about 2 h 40 min on cpu"


def test_proof_that_is_the_full_picture_says_so() -> None:
    said = describe_full(FullPicture(400, 300, None), "cpu")
    assert said == "the full picture is no larger: this is it, 400x300 px"


class OneSeat(PuppetPool):
    """A pool of one seat whose runs end so, one after the other; keeps what they were to take."""

    def __init__(self, *outcomes: Outcome) -> None:
        super().__init__([WorkerSettings("cpu", "", Path())], lambda run_id, event: None)
        self._outcomes = iter(outcomes)
        self.memory_bytes: list[int | None] = []

    def submit(self, device: str, run_id: str, order: RunOrder) -> Future[Outcome]:
        self.memory_bytes.append(order.memory_bytes)
        future = super().submit(device, run_id, order)
        self.end(run_id, next(self._outcomes))
        return future


OUT_OF_MEMORY = OutOfMemory("no memory", PassPlan("64x64 px", "one tile", 800, 0, 900))
ORDER = order(Path(), "wait")


def test_picture_is_painted_with_less_memory_where_it_ran_out() -> None:
    pool = OneSeat(OUT_OF_MEMORY, OUT_OF_MEMORY, Done(warnings=("late",)))
    *shortages, late = paint(pool, ORDER).warnings
    assert [text.split(";")[0] for text in shortages] == [
        "memory ran out at 64x64 px (one tile, 0.0 GB expected)"
    ] * 2
    assert late == "late" and pool.memory_bytes == [None, 400, 400]


@pytest.mark.parametrize(
    ("outcomes", "error", "reason"),
    [
        ([Failed("input", "no picture")], BadInputError, "no picture"),
        ([Cancelled()], StoppedError, "stopped; nothing was written"),
        ([Lost("was ended by SIGKILL")], AtelierError, "the worker was ended by SIGKILL"),
        ([OUT_OF_MEMORY] * 4, AtelierError, "Memory ran out 4 times"),
    ],
)
def test_run_that_does_not_end_well_is_told_by_its_outcome(
    outcomes: list[Outcome], error: type[AtelierError], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        paint(OneSeat(*outcomes), ORDER)
