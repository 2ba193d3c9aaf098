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
from daemon.engine.vgg.network import Convolution, Network
from daemon.engine.vgg.processors import ProcessorTimes
from daemon.engine.vgg.timings import CHANNELS, Trial, keep_trial, timings_file, way

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
    monkeypatch.setattr(winograd, "BYTES_AT_ONCE", 56)
    torch.testing.assert_close(winograd.convolve(features, kernel, None), whole)


@pytest.fixture(scope="module")
def gradient(
    kernels: Kernels, objective_between
) -> Callable[[torch.dtype, tuple[int, ...]], Tensor]:
    """Makes the gradient of the default objective at a fixed picture of odd size, 71x93 px."""

    @cache  # the exact one is the measure of all the others
    def make(dtype: torch.dtype, channels: tuple[int, ...]) -> Tensor:
        content, style, picture = (
            torch.rand(1, 3, 71, 93, generator=torch.manual_seed(seed)) for seed in range(3)
        )
        objective = objective_between(
            Network(kernels, CPU, dtype, channels), Recipe(), content, style
        )
        found: Tensor = objective.evaluate(picture).gradient
        return found.double()

    return make


@pytest.mark.parametrize(
    ("dtype", "channels", "bound"),
    [
        # Each layer is off by some 1e-6, and that makes one max-pool window in 10^5 choose its
        # other pixel: a whole value moves, and the norm by the root of such a share.
        (torch.float32, CHANNELS, 2e-3),
        (torch.float32, (), 2e-3),
        # bfloat16 has 8 bits: 2^-9 a layer, adding up like a random walk over 48 layers.
        (torch.bfloat16, (), 0.1),
        # Winograd's method rounds a layer seven times as much, but choices of pixels outweigh that.
        (torch.bfloat16, CHANNELS, 0.1),
    ],
)
def test_fast_gradient_stays_near_the_exact_one(
    gradient: Callable[[torch.dtype, tuple[int, ...]], Tensor],
    dtype: torch.dtype,
    channels: tuple[int, ...],
    bound: float,
) -> None:
    exact = gradient(torch.float64, ())
    fast = gradient(dtype, channels)
    assert ((fast - exact).norm() / exact.norm()).item() < bound


@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float64, 1e-14), (torch.float32, 2e-6), (torch.bfloat16, 0.016)]
)
def test_winograd_rounds_a_layer_as_little_as_its_points_promise(
    dtype: torch.dtype, bound: float
) -> None:
    features = random(1, 128, 24, 32).relu().to(dtype)
    kernel = random(64, 128, 3, 3).to(dtype)
    exact = F.conv2d(features.double(), kernel.double(), padding=1)
    found = winograd.convolve(features, winograd.transform_kernel(kernel), None).double()
    assert ((found - exact).norm() / exact.norm()).item() < bound


@pytest.mark.parametrize(
    ("winograd_for", "layers"),
    [
        ((), set()),
        ((512,), {"conv4_2", "conv4_3", "conv4_4", "conv5_1"}),
        ((64,), {"conv1_2", "conv2_1"}),
    ],
)
def test_layers_are_convolved_by_winograd_where_the_fewer_channels_say_so(
    kernels: Kernels, winograd_for: tuple[int, ...], layers: set[str]
) -> None:
    network = Network(kernels, CPU, torch.float32, winograd_for)
    wide = {
        op.name
        for op in network._ops
        if isinstance(op, Convolution) and op.name <= "conv5_1" and op.filter._winograd
    }
    assert wide == layers


Seconds = dict[str, float]


def seconds_of(**least: float) -> Seconds:
    """Those of every way: 1 but for what is told, by `dtype_method`, or that and `_channels`."""
    found = {}
    for name, (dtype, method, channels) in arithmetic.ways().items():
        usual = least.get(f"{dtype}_{method}", 1.0)
        found[name] = least.get(f"{dtype}_{method}_{channels}", usual)
    return found


def keep_seconds(folder: Path, seconds: Seconds, others: float | None = 0.0) -> None:
    keep_trial(folder, arithmetic.machine_key(), Trial(seconds, others))


BFLOAT16 = arithmetic.Arithmetic(torch.bfloat16)
WINOGRAD = arithmetic.Arithmetic(torch.float32, CHANNELS)


@pytest.mark.parametrize(
    ("seconds", "precision", "expected"),
    [
        (seconds_of(float32_winograd=0.5, bfloat16_direct=0.2), "auto", BFLOAT16),
        (seconds_of(float32_winograd=0.5, bfloat16_direct=0.2), "float32", WINOGRAD),
        (seconds_of(float32_winograd=0.5, bfloat16_direct=0.45), "auto", WINOGRAD),
        (seconds_of(float32_winograd=0.97, bfloat16_direct=0.9), "auto", arithmetic.PLAIN),
        (seconds_of(bfloat16_direct=9.0, bfloat16_winograd=9.0), "bfloat16", BFLOAT16),
        (
            seconds_of(bfloat16_direct=0.5, bfloat16_winograd_256=0.3, bfloat16_winograd_512=0.25),
            "auto",
            arithmetic.Arithmetic(torch.bfloat16, (256, 512)),
        ),
        (
            seconds_of(float32_winograd_512=0.8, bfloat16_direct=0.85),
            "auto",
            arithmetic.Arithmetic(torch.float32, (512,)),
        ),
    ],
)
def test_fastest_arithmetic_is_chosen_layer_by_layer_if_it_is_worth_its_rounding(
    tmp_path: Path,
    seconds: Seconds,
    precision: arithmetic.Precision,
    expected: arithmetic.Arithmetic,
) -> None:
    keep_seconds(tmp_path, seconds)
    assert arithmetic.choose_arithmetic(CPU, precision, tmp_path) == expected


@pytest.fixture
def quick_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries every way at a small picture."""
    for name, size in (("HEIGHT_PX", 64), ("WIDTH_PX", 64)):
        monkeypatch.setattr(arithmetic, name, size)


class Machine:
    """A machine whose ways take so long, and whose other programs compute so much meanwhile."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seconds = seconds_of()
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
    machine.seconds = seconds_of(bfloat16_direct=0.1)
    assert arithmetic.choose_arithmetic(CPU, "auto", tmp_path) == first
    assert machine.trials == 1


def test_trial_beside_load_is_used_and_made_again_until_one_is_undisturbed(
    machine: Machine, tmp_path: Path
) -> None:
    machine.others = 0.5
    machine.seconds = seconds_of(float32_direct=0.095, float32_winograd=0.297)
    for trials in (1, 2):
        chosen = arithmetic.choose_arithmetic(CPU, "float32", tmp_path)
        assert (chosen, machine.trials) == (arithmetic.PLAIN, trials)
    machine.others = 0.0
    machine.seconds = seconds_of(float32_direct=0.046, float32_winograd=0.033)
    for _ in range(2):
        chosen = arithmetic.choose_arithmetic(CPU, "float32", tmp_path)
        assert (chosen, machine.trials) == (WINOGRAD, 3)


def test_disturbed_trial_takes_the_shorter_times_of_the_one_before(
    machine: Machine, tmp_path: Path
) -> None:
    machine.others = 0.5
    machine.seconds = seconds_of(float32_direct=0.05, float32_winograd=0.3)
    arithmetic.choose_arithmetic(CPU, "float32", tmp_path)
    machine.seconds = seconds_of(float32_direct=0.2, float32_winograd=0.049)
    chosen = arithmetic.choose_arithmetic(CPU, "float32", tmp_path)
    assert chosen == arithmetic.PLAIN  # 0.05 against 0.049 is not worth the rounding
    kept = arithmetic.kept_trial(tmp_path)
    assert kept is not None and kept.seconds["float32 direct 64"] == 0.05
    assert kept.seconds["float32 winograd 64"] == 0.049


@pytest.mark.parametrize(
    ("seconds", "is_of_every_way"),
    [
        (seconds_of(float32_direct=0.1), True),
        ({"float32 direct": 0.1, "float32 winograd": 2.0}, False),
    ],
)
def test_trial_of_an_earlier_version_is_made_once_more(
    machine: Machine, tmp_path: Path, seconds: Seconds, is_of_every_way: bool
) -> None:
    timings_file(tmp_path).write_text(json.dumps({arithmetic.machine_key(): seconds}))
    assert arithmetic.kept_trial(tmp_path) == (Trial(seconds, None) if is_of_every_way else None)
    machine.seconds = seconds_of(float32_winograd=0.3)
    chosen = [arithmetic.choose_arithmetic(CPU, "float32", tmp_path) for _ in range(2)]
    assert chosen == [WINOGRAD] * 2 and machine.trials == 1


@pytest.mark.usefixtures("quick_trial")
def test_real_trial_is_kept_with_what_others_did(tmp_path: Path) -> None:
    arithmetic.choose_arithmetic(CPU, "auto", tmp_path)
    kept = arithmetic.kept_trial(tmp_path)
    assert kept is not None and kept.others is not None and kept.others >= 0.0


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_arithmetic_of_a_checkpoint_is_found_by_what_it_tells(
    precision: arithmetic.Precision,
) -> None:
    for one in (arithmetic.PLAIN, WINOGRAD, BFLOAT16, arithmetic.Arithmetic(torch.bfloat16, (64,))):
        told = arithmetic.describe_arithmetic(CPU, one)
        expected = one if precision == "auto" or str(one).startswith(precision) else None
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
    ways = ", ".join(f'"{name}": {value}' for name in arithmetic.ways())
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
    calls: dict[str, int] = dict.fromkeys(arithmetic.ways(), 0)
    rows: dict[str, list[int]] = {name: [] for name in calls}
    took = {"float32 direct": 9.0, "float32 winograd": 0.5, "bfloat16 direct": 4.5}
    took |= {"bfloat16 winograd": 0.1}
    height = {channels: arithmetic.HEIGHT_PX * 64 // channels for channels in CHANNELS}

    def prepare(dtype: str, method: str, channels: int) -> Callable[[int], str]:
        name = way(dtype, method, channels)

        def work(rows: int) -> str:
            calls[name] += 1
            return name

        return work

    def timed_s(work: Callable[[int], str], rows_done: int) -> float:
        name = work(rows_done)
        rows[name].append(rows_done)
        cold = 100 if calls[name] == 1 else 1  # libraries set themselves up
        kind, _, channels = name.rpartition(" ")
        return cold * took[kind] * rows_done / height[int(channels)]

    monkeypatch.setattr(arithmetic, "prepare", prepare)
    monkeypatch.setattr(arithmetic, "timed_s", timed_s)
    found = arithmetic.measure()
    for channels, whole in height.items():
        every = [whole // 8] * 2 + [whole] * 5
        for kind in took:
            assert found[f"{kind} {channels}"] == took[kind]
            glanced = kind == "bfloat16 direct"  # slower than float32, which is never left out
            assert rows[f"{kind} {channels}"] == (every[:1] if glanced else every)
