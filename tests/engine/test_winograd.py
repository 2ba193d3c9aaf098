"""Winograd's convolutions are the direct ones, up to rounding; and the trial that chooses them."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.recipe import Recipe
from daemon.engine.vgg import arithmetic, winograd
from daemon.engine.vgg.kernels import Kernels
from daemon.engine.vgg.network import Method, Network
from daemon.engine.vgg.processors import ProcessorTimes
from daemon.engine.vgg.timings import Trial, keep_trial, timings_file

CPU = torch.device("cpu")


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("height", [1, 3, 4, 5, 17, 40])
@pytest.mark.parametrize("width", [1, 4, 6, 35])
def test_winograd_convolves_every_size_as_the_direct_way(height: int, width: int) -> None:
    features, kernel, bias = random(1, 5, height, width), random(7, 5, 3, 3), random(7)
    found = winograd.convolve(features, winograd.transform_kernel(kernel), bias)
    expected = F.conv2d(features, kernel, bias, padding=1)
    # Float64: the transforms' constants are up to 8, products sum 45 terms; 1e-12 is ample.
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_winograd_answers_channels_last_as_the_losses_need_it() -> None:
    features = random(1, 4, 9, 10).contiguous(memory_format=torch.channels_last)
    found = winograd.convolve(features, winograd.transform_kernel(random(6, 4, 3, 3)), None)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_bands_of_tiles_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    features, kernel = random(1, 3, 41, 23), winograd.transform_kernel(random(4, 3, 3, 3))
    whole = winograd.convolve(features, kernel, None)
    monkeypatch.setattr(winograd, "TILES_AT_ONCE", 7)
    torch.testing.assert_close(winograd.convolve(features, kernel, None), whole)


@pytest.fixture(scope="module")
def gradient(kernels: Kernels, objective_between) -> Callable[[torch.dtype, Method], Tensor]:
    """Makes the gradient of the default objective at a fixed picture of odd size, 71x93 px."""

    @cache  # the exact one is the measure of all the others
    def make(dtype: torch.dtype, method: Method) -> Tensor:
        content, style, picture = (
            torch.rand(1, 3, 71, 93, generator=torch.manual_seed(seed)) for seed in range(3)
        )
        objective = objective_between(
            Network(kernels, CPU, dtype, method), Recipe(), content, style
        )
        found: Tensor = objective.evaluate(picture).gradient
        return found.double()

    return make


@pytest.mark.parametrize(
    ("dtype", "method", "bound"),
    [
        # Each layer is off by some 2e-6, and that makes one max-pool window in 10^5 choose its
        # other pixel: a whole value moves, and the norm by the root of such a share.
        (torch.float32, Method.WINOGRAD, 2e-3),
        (torch.float32, Method.DIRECT, 2e-3),
        # bfloat16 has 8 bits: 2^-9 a layer, adding up like a random walk over 48 layers.
        (torch.bfloat16, Method.DIRECT, 0.1),
    ],
)
def test_fast_gradient_stays_near_the_exact_one(
    gradient: Callable[[torch.dtype, Method], Tensor],
    dtype: torch.dtype,
    method: Method,
    bound: float,
) -> None:
    exact = gradient(torch.float64, Method.DIRECT)
    fast = gradient(dtype, method)
    assert ((fast - exact).norm() / exact.norm()).item() < bound


def keep_seconds(folder: Path, seconds: dict[str, float], others: float | None = 0.0) -> None:
    keep_trial(folder, arithmetic.machine_key(), Trial(seconds, others))


@pytest.mark.parametrize(
    ("seconds", "precision", "expected"),
    [
        ((1.0, 0.5, 0.2), "auto", "bfloat16 direct"),
        ((1.0, 0.5, 0.2), "float32", "float32 winograd"),
        ((1.0, 0.5, 0.9), "auto", "float32 winograd"),
        ((1.0, 0.9, 0.9), "auto", "float32 direct"),
        ((1.0, 0.5, 9.9), "bfloat16", "bfloat16 direct"),
    ],
)
def test_fastest_arithmetic_is_chosen_if_it_is_worth_its_rounding(
    tmp_path: Path, seconds: tuple[float, ...], precision: arithmetic.Precision, expected: str
) -> None:
    keep_seconds(tmp_path, dict(zip(arithmetic.WAYS, seconds, strict=True)))
    assert arithmetic.choose_arithmetic(CPU, precision, tmp_path) == arithmetic.WAYS[expected]


@pytest.fixture
def quick_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries every way at a layer of the least size that is worth it."""
    for name, size in (("CHANNELS", 64), ("HEIGHT", 12), ("WIDTH", 16)):
        monkeypatch.setattr(arithmetic, name, size)


class Machine:
    """A machine whose ways take so long, and whose other programs compute so much meanwhile."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seconds = dict.fromkeys(arithmetic.WAYS, 1.0)
        self.others, self.trials, self._clock_s = 0.0, 0, 0.0
        patch.setattr(arithmetic, "measure", self.measure)
        patch.setattr(arithmetic, "processor_times", self.times)
        patch.setattr(torch, "get_num_threads", lambda: 2)

    def measure(self) -> dict[str, float]:
        self.trials += 1
        self._clock_s += 10.0
        return dict(self.seconds)

    def times(self) -> ProcessorTimes:
        own_s = 2 * self._clock_s
        return ProcessorTimes(self._clock_s, own_s, own_s + self.others * own_s)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_trial_on_a_quiet_machine_is_made_once_and_kept(machine: Machine, tmp_path: Path) -> None:
    machine.others = 0.05
    first = arithmetic.choose_arithmetic(CPU, "auto", tmp_path)
    machine.seconds["bfloat16 direct"] = 0.1
    assert arithmetic.choose_arithmetic(CPU, "auto", tmp_path) == first
    assert machine.trials == 1


def test_trial_beside_load_is_used_and_made_again_until_one_is_undisturbed(
    machine: Machine, tmp_path: Path
) -> None:
    machine.others = 0.5
    machine.seconds |= {"float32 direct": 0.095, "float32 winograd": 0.297}
    for trials in (1, 2):
        chosen = arithmetic.choose_arithmetic(CPU, "float32", tmp_path)
        assert (chosen, machine.trials) == (arithmetic.WAYS["float32 direct"], trials)
    machine.others = 0.0
    machine.seconds |= {"float32 direct": 0.046, "float32 winograd": 0.033}
    for _ in range(2):
        chosen = arithmetic.choose_arithmetic(CPU, "float32", tmp_path)
        assert (chosen, machine.trials) == (arithmetic.WAYS["float32 winograd"], 3)


def test_disturbed_trial_takes_the_shorter_times_of_the_one_before(
    machine: Machine, tmp_path: Path
) -> None:
    machine.others = 0.5
    machine.seconds |= {"float32 direct": 0.05, "float32 winograd": 0.3}
    arithmetic.choose_arithmetic(CPU, "float32", tmp_path)
    machine.seconds |= {"float32 direct": 0.2, "float32 winograd": 0.045}
    chosen = arithmetic.choose_arithmetic(CPU, "float32", tmp_path)
    assert chosen == arithmetic.PLAIN  # 0.05 against 0.045 is not worth the rounding
    kept = arithmetic.kept_trial(tmp_path)
    assert kept is not None and kept.seconds["float32 direct"] == 0.05
    assert kept.seconds["float32 winograd"] == 0.045


def test_trial_of_an_earlier_version_is_made_once_more(machine: Machine, tmp_path: Path) -> None:
    key = arithmetic.machine_key()
    ways = dict.fromkeys(arithmetic.WAYS, 2.0) | {"float32 direct": 0.1}
    timings_file(tmp_path).write_text(json.dumps({key: ways}))
    assert arithmetic.kept_trial(tmp_path) == Trial(ways, None)
    machine.seconds["float32 winograd"] = 0.3
    chosen = [arithmetic.choose_arithmetic(CPU, "float32", tmp_path) for _ in range(2)]
    assert chosen == [arithmetic.WAYS["float32 winograd"]] * 2 and machine.trials == 1


@pytest.mark.usefixtures("quick_trial")
def test_real_trial_is_kept_with_what_others_did(tmp_path: Path) -> None:
    arithmetic.choose_arithmetic(CPU, "auto", tmp_path)
    kept = arithmetic.kept_trial(tmp_path)
    assert kept is not None and kept.others is not None and kept.others >= 0.0


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_arithmetic_of_a_checkpoint_is_found_by_what_it_tells(
    precision: arithmetic.Precision,
) -> None:
    for name, way in arithmetic.WAYS.items():
        told = arithmetic.describe_arithmetic(CPU, way)
        expected = way if precision == "auto" or name.startswith(precision) else None
        assert arithmetic.named_arithmetic(told, CPU, precision) == expected
        assert arithmetic.named_arithmetic(told, torch.device("cuda"), precision) is None
    for told in (None, "", 3, "cpu"):
        assert arithmetic.named_arithmetic(told, CPU, precision) is None


@pytest.mark.usefixtures("quick_trial")
@pytest.mark.parametrize("content", ["", "[]", "{", '{"another machine": {}}'])
def test_damaged_timings_are_measured_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "arithmetic.json").write_text(content)
    assert arithmetic.choose_arithmetic(CPU, "float32", tmp_path).dtype == torch.float32
    assert arithmetic.machine_key() in (tmp_path / "arithmetic.json").read_text()


@pytest.mark.usefixtures("quick_trial")
def test_folder_that_cannot_be_written_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert arithmetic.choose_arithmetic(CPU, "float32", tmp_path / "file").dtype == torch.float32


@pytest.mark.parametrize(
    "value", ['"fast"', "null", "NaN", "0", "-1", "Infinity", "[]"], ids=lambda text: text
)
def test_timing_that_is_none_is_measured_anew(tmp_path: Path, value: str) -> None:
    ways = ", ".join(f'"{name}": {value}' for name in arithmetic.WAYS)
    file = timings_file(tmp_path)
    file.write_text(f'{{"{arithmetic.machine_key()}": {{{ways}}}}}')
    assert arithmetic.kept_trial(tmp_path) is None


def test_timings_that_are_a_folder_or_no_text_are_none(tmp_path: Path) -> None:
    timings_file(tmp_path).write_bytes(b"\xff\xfe")
    assert arithmetic.kept_trial(tmp_path) is None
    timings_file(tmp_path).unlink()
    timings_file(tmp_path).mkdir()
    assert arithmetic.kept_trial(tmp_path) is None


def test_way_that_is_hopeless_at_a_glance_is_not_timed_on_the_whole_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: dict[str, list[int]] = {name: [] for name in arithmetic.WAYS}
    took = {"float32 direct": 1.0, "float32 winograd": 0.5, "bfloat16 direct": 9.0}

    def prepare(way: arithmetic.Arithmetic) -> Callable[[int], str]:
        return lambda height: next(name for name, one in arithmetic.WAYS.items() if one == way)

    def timed_s(work: Callable[[int], str], height: int) -> float:
        name = work(height)
        rows[name].append(height)
        first = 2 if len(rows[name]) == 1 else 1  # in the first round libraries set themselves up
        return first * took[name] * height / arithmetic.HEIGHT

    monkeypatch.setattr(arithmetic, "prepare", prepare)
    monkeypatch.setattr(arithmetic, "timed_s", timed_s)
    assert arithmetic.measure() == took | {"bfloat16 direct": 18.0}
    glances, whole = [arithmetic.HEIGHT // 8] * 2, [arithmetic.HEIGHT] * 6
    assert rows["float32 direct"] == rows["float32 winograd"] == glances + whole
    assert rows["bfloat16 direct"] == glances[:1]
