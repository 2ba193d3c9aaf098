"""The steps, on small objectives whose minimum is known."""

import json
import math
import weakref
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from daemon.engine.fit import scratch
from daemon.engine.fit.scratch import Scratch
from daemon.engine.losses.objective import Evaluation
from daemon.engine.optimise import lbfgs as lbfgs_module
from daemon.engine.optimise.adam import BETAS, RATE, Adam
from daemon.engine.optimise.lbfgs import (
    FIRST_STEP_RMS,
    LONGEST_STEP_RMS,
    FourierPreconditioner,
    Lbfgs,
)
from daemon.engine.optimise.steps import (
    CONVERGED_WINDOW,
    MAX_RESTARTS,
    Course,
    Minimum,
    Step,
    make_optimiser,
    minimise,
)
from daemon.engine.recipe import Preconditioner, Recipe
from daemon.engine.schedule import LEAST_PROGRESS

CPU = torch.device("cpu")
MEMORY = Scratch(CPU)
SHAPE = torch.Size((1, 3, 8, 8))
Evaluate = Callable[[Tensor], Evaluation]


def make_evaluation(total: Tensor | float, gradient: Tensor) -> Evaluation:
    value = torch.as_tensor(total, dtype=torch.float32)
    return Evaluation(value, {"content": value, "style": torch.zeros(())}, gradient)


def bowl(valley: Tensor, steepness: Tensor | float = 1.0) -> Evaluate:
    """Steepness * (x - valley)^2, summed."""

    def evaluate(picture: Tensor) -> Evaluation:
        away = picture - valley
        return make_evaluation((steepness * away**2).sum(), 2.0 * steepness * away)

    return evaluate


def spoiled(evaluate: Evaluate, totals: dict[int, float]) -> Evaluate:
    """The same objective, but with another loss at some calls (counted from 1)."""
    calls = iter(range(1, 10_000))

    def wrong(picture: Tensor) -> Evaluation:
        found, call = evaluate(picture), next(calls)
        return make_evaluation(totals.get(call, found.total.item()), found.gradient)

    return wrong


def begin(optimiser: str = "lbfgs", history: int = 5, place: Scratch = MEMORY) -> Course:
    """A run of black pictures."""
    # What is sought here is noise, whose finest colours `opponent` moves last.
    recipe = Recipe(optimizer=optimiser, preconditioner="fourier")  # type: ignore[arg-type]
    maker = make_optimiser(recipe, SHAPE, place, history)
    return Course(torch.zeros(SHAPE), maker, place)


def run(
    evaluate: Evaluate,
    optimiser: str = "lbfgs",
    *,
    steps: int = 40,
    history: int = 20,
    burst: int = 1,
    on_step: Callable[[Step, Tensor], None] = lambda *_: None,
) -> Minimum:
    return go_on(evaluate, begin(optimiser, history), steps=steps, burst=burst, on_step=on_step)


def go_on(
    evaluate: Evaluate,
    course: Course,
    *,
    steps: int,
    burst: int = 1,
    on_step: Callable[[Step, Tensor], None] = lambda *_: None,
) -> Minimum:
    """Takes a run to its end."""
    for taken in minimise(evaluate, course, steps=steps, burst=burst):
        for step in taken:
            on_step(step, course.picture)
    return course.minimum(LEAST_PROGRESS)


@pytest.fixture
def valley() -> Tensor:
    return torch.rand(SHAPE, generator=torch.manual_seed(0))


@pytest.fixture
def lbfgs() -> Lbfgs:
    return Lbfgs(SHAPE, MEMORY, 3)


def random_gradient(seed: int) -> Tensor:
    return 0.01 * torch.randn(SHAPE, generator=torch.manual_seed(seed))


def test_lbfgs_reaches_the_minimum_of_a_quadratic(valley: Tensor) -> None:
    found = run(bowl(valley))
    # Float32: the loss there is a sum of 192 squared roundings, far below 1e-6 of the first.
    assert found.best.total < 1e-6 * found.first.total
    torch.testing.assert_close(found.picture, valley, rtol=0, atol=1e-3)
    assert found.warnings == ()


@pytest.mark.parametrize("history", [2, 5])
def test_lbfgs_goes_on_beyond_its_history(valley: Tensor, history: int) -> None:
    steepness = torch.linspace(0.5, 20.0, SHAPE.numel()).view(SHAPE)
    found = run(bowl(valley, steepness), steps=120, history=history)
    assert found.best.total < 1e-4 * found.first.total


def test_first_lbfgs_step_has_a_known_length(lbfgs: Lbfgs) -> None:
    picture = torch.zeros(SHAPE)
    lbfgs.advance(picture, 1e6 * random_gradient(1))
    assert picture.square().mean().sqrt().item() == pytest.approx(FIRST_STEP_RMS, rel=1e-5)


def test_no_lbfgs_step_is_longer_than_the_limit(lbfgs: Lbfgs) -> None:
    picture = torch.zeros(SHAPE)
    lbfgs.advance(picture, torch.ones(SHAPE))
    before = picture.clone()
    lbfgs.advance(picture, 0.999 * torch.ones(SHAPE))  # hardly any curvature: a huge step
    moved = (picture - before).square().mean().sqrt().item()
    assert moved == pytest.approx(LONGEST_STEP_RMS, rel=1e-5)


def turn_back(lbfgs: Lbfgs, picture: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The move for `gradient`, and the next one when the slope has just changed its sign."""
    before = picture.clone()
    lbfgs.advance(picture, gradient.clone())
    middle = picture.clone()
    lbfgs.advance(picture, -gradient)
    return middle - before, picture - middle


@pytest.mark.parametrize("steps", [0, 2, 3, 7])
def test_slope_that_turned_round_sends_lbfgs_half_way_back(lbfgs: Lbfgs, steps: int) -> None:
    # The secant equation, H (g' - g) = s, with g' = -g: the minimum lies in the middle.
    picture = torch.zeros(SHAPE)
    for number in range(steps):
        lbfgs.advance(picture, random_gradient(number) + 0.2 * picture)
    move, back = turn_back(lbfgs, picture, random_gradient(99))
    torch.testing.assert_close(back, -0.5 * move, rtol=1e-3, atol=1e-5)  # float32


@pytest.mark.parametrize("steps", [1, 3, 4, 5, 8])
def test_curvature_of_the_wrong_sign_is_not_learnt(lbfgs: Lbfgs, steps: int) -> None:
    picture = torch.zeros(SHAPE)
    for number in range(steps):
        lbfgs.advance(picture, random_gradient(number) + 0.2 * picture)
    before = picture.clone()
    gradient = random_gradient(50)
    lbfgs.advance(picture, gradient.clone())
    lbfgs.advance(picture, gradient - (picture - before))  # curvature -1 along the move
    move, back = turn_back(lbfgs, picture, random_gradient(99))
    assert (move * random_gradient(99)).sum() < 0  # still downhill
    torch.testing.assert_close(back, -0.5 * move, rtol=1e-3, atol=1e-5)


def two_loops(gradient: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """H g of L-BFGS by its recursion, in float64, with H0 = gamma P. pairs: s and y, oldest first.

    Source: Nocedal & Wright 2006, algorithm 7.4.
    """
    preconditioner = FourierPreconditioner(*SHAPE[2:], CPU)
    direction, turns = gradient, []
    for s, y in reversed(pairs):
        turns.append(s.dot(direction) / s.dot(y))
        direction = direction - turns[-1] * y
    direction = preconditioner.apply(direction.clone())
    if pairs:
        s, y = pairs[-1]
        direction = s.dot(y) / y.dot(preconditioner.apply(y.clone())) * direction
    for (s, y), turn in zip(pairs, reversed(turns), strict=True):
        direction = direction + s * (turn - y.dot(direction) / s.dot(y))
    return direction


@pytest.mark.parametrize("history", [1, 3, 8])
def test_every_lbfgs_step_is_the_textbooks_with_the_fourier_gain(
    valley: Tensor, history: int
) -> None:
    steepness = torch.linspace(0.5, 2.0, SHAPE.numel()).view(SHAPE)
    picture, lbfgs = torch.zeros(SHAPE), Lbfgs(SHAPE, MEMORY, history)
    pictures: list[Tensor] = [picture.double().view(-1)]
    gradients: list[Tensor] = []
    for _ in range(7):
        gradient = steepness * (picture - 0.2 * valley)  # so low that no step is cut short
        gradients.append(gradient.double().view(-1))
        lbfgs.advance(picture, gradient)
        pictures.append(picture.double().view(-1))
        moves = [new - old for old, new in pairwise(pictures)]
        turns = [new - old for old, new in pairwise(gradients)]
        pairs = list(zip(moves[:-1], turns, strict=True))
        wanted = -two_loops(gradients[-1], pairs[-history:])
        if not pairs:  # of a known length, where no curvature is known
            wanted *= FIRST_STEP_RMS / wanted.square().mean().sqrt()
        # Float32 against float64, and the gain lies between 1 and 46.
        torch.testing.assert_close(moves[-1], wanted, rtol=0, atol=1e-3 * wanted.abs().max().item())


def test_restarted_lbfgs_forgets_and_takes_shorter_steps(lbfgs: Lbfgs) -> None:
    picture = torch.zeros(SHAPE)
    for number in range(3):
        lbfgs.advance(picture, random_gradient(number))
    lbfgs.restart(0.5)
    fresh, mine = torch.zeros(SHAPE), torch.zeros(SHAPE)
    Lbfgs(SHAPE, MEMORY, 3).advance(fresh, random_gradient(9))
    lbfgs.advance(mine, random_gradient(9))
    torch.testing.assert_close(mine, 0.5 * fresh)


def test_preconditioner_strengthens_coarse_structure_and_keeps_the_finest() -> None:
    height, width = 16, 24
    preconditioner = FourierPreconditioner(height, width, CPU)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    finest = (1.0 - 2.0 * ((rows + columns) % 2)).float().expand(3, -1, -1).reshape(-1)
    torch.testing.assert_close(preconditioner.apply(finest.clone()), finest, rtol=0, atol=1e-5)
    flat = torch.ones(3 * height * width)
    # f = 0 against the checkerboard's f = sqrt(1/2): (sqrt(1/2) + 1/64) / (1/64)
    gain = (math.sqrt(0.5) + 1 / 64) * 64
    torch.testing.assert_close(preconditioner.apply(flat.clone()), gain * flat, rtol=1e-5, atol=0)


def test_opponent_preconditioner_moves_coarse_colours_as_brightness_and_fine_ones_least() -> None:
    height, width = 16, 24
    preconditioner = FourierPreconditioner(height, width, CPU, "opponent")
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    board = 1.0 - 2.0 * ((rows + columns) % 2)
    # f = 0 against the checkerboard's f = sqrt(1/2): (sqrt(1/2) + 1/64) / (1/64)
    ratio = (math.sqrt(0.5) + 1 / 64) * 64
    for colour in ([1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [1.0, 1.0, -2.0]):
        flat = torch.tensor(colour)[:, None, None].expand(3, height, width)
        fine, coarse = ((flat * one).reshape(-1) for one in (board, torch.ones_like(board)))
        least = 1.0 if colour == [1.0, 1.0, 1.0] else 1.0 / ratio
        # Float32 Fourier transforms, whose rounding is 1e-7 of the largest gain.
        torch.testing.assert_close(
            preconditioner.apply(fine.clone()), least * fine, rtol=0, atol=1e-4
        )
        expected = ratio**1.5 * coarse
        torch.testing.assert_close(
            preconditioner.apply(coarse.clone()), expected, rtol=1e-5, atol=1e-3
        )


def test_opponent_preconditioner_works_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    preconditioner = FourierPreconditioner(7, 9, CPU, "opponent")
    vector = torch.randn(3 * 7 * 9, generator=torch.manual_seed(0))
    whole = preconditioner.apply(vector.clone())
    monkeypatch.setattr(lbfgs_module, "BAND", 10)
    torch.testing.assert_close(preconditioner.apply(vector.clone()), whole)


@pytest.mark.parametrize("kind", ["fourier", "opponent"])
def test_preconditioner_is_symmetric_and_positive(kind: Preconditioner) -> None:
    preconditioner = FourierPreconditioner(7, 9, CPU, kind)
    one, other = torch.randn(2, 3 * 7 * 9, generator=torch.manual_seed(0))
    # L-BFGS needs an inner product: float32 sums of 189 terms agree to about 1e-5.
    left, right = one.dot(preconditioner.apply(other.clone())), preconditioner.apply(one).dot(other)
    assert left.item() == pytest.approx(right.item(), rel=1e-4)
    assert one.dot(preconditioner.apply(one.clone())) > 0


def test_adam_lowers_the_loss_and_stays_between_0_and_1() -> None:
    outside = torch.full(SHAPE, 1.5)
    found = run(bowl(outside), "adam", steps=100)
    assert found.best.total == pytest.approx(0.25 * SHAPE.numel())  # at 1, not at 1.5
    assert torch.equal(found.picture, torch.ones(SHAPE))


def test_first_adam_step_is_as_long_as_its_rate() -> None:
    picture = torch.full(SHAPE, 0.5)
    Adam(SHAPE, MEMORY).advance(picture, random_gradient(0).sign())
    torch.testing.assert_close((picture - 0.5).abs(), torch.full(SHAPE, RATE))


def test_adam_takes_the_steps_of_the_library() -> None:
    mine, theirs = torch.full(SHAPE, 0.5), torch.full(SHAPE, 0.5, requires_grad=True)
    adam = Adam(SHAPE, MEMORY)
    library = torch.optim.Adam([theirs], lr=RATE, betas=BETAS)
    for number in range(8):
        theirs.grad = random_gradient(number)
        library.step()
        adam.advance(mine, random_gradient(number))
    torch.testing.assert_close(mine, theirs.detach())


def test_restarted_adam_takes_shorter_steps() -> None:
    adam = Adam(SHAPE, MEMORY)
    adam.advance(torch.full(SHAPE, 0.5), random_gradient(0))
    adam.restart(0.5)
    picture = torch.full(SHAPE, 0.5)
    adam.advance(picture, random_gradient(1).sign())
    torch.testing.assert_close((picture - 0.5).abs(), torch.full(SHAPE, RATE / 2))


def test_every_step_is_told_with_the_losses_where_it_began(valley: Tensor) -> None:
    told: list[Step] = []
    found = run(bowl(valley), steps=4, on_step=lambda step, _: told.append(step))
    assert [step.number for step in told] == [1, 2, 3, 4]
    assert told[0].total == pytest.approx(valley.square().sum().item(), rel=1e-5)
    assert found.first is told[0] and found.last is told[-1]
    assert all(step.seconds >= 0 for step in told)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_loss_that_is_not_finite_goes_back_to_the_best_picture(valley: Tensor, bad: float) -> None:
    found = run(spoiled(bowl(valley), {4: bad}))
    (warning,) = found.warnings
    assert "at step 4" in warning and "went back to the best" in warning
    assert found.best.total < 1e-6 * found.first.total


def test_exploding_loss_goes_back_to_the_best_picture(valley: Tensor) -> None:
    start = valley.square().sum().item()
    found = run(spoiled(bowl(valley), {2: 11 * start}))
    assert len(found.warnings) == 1
    assert found.best.total < 1e-6 * found.first.total


def test_loss_that_rises_a_little_is_no_explosion(valley: Tensor) -> None:
    start = valley.square().sum().item()
    assert run(spoiled(bowl(valley), {2: 9 * start})).warnings == ()


def test_loss_that_is_never_finite_ends_with_the_start_and_says_so(valley: Tensor) -> None:
    always = dict.fromkeys(range(1, 100), math.nan)
    found = run(spoiled(bowl(valley), always), steps=50)
    assert not found.picture.any()
    assert found.last.number == MAX_RESTARTS + 1
    assert "gave up after step 6 of 50" in found.warnings[-1]


def test_start_whose_loss_was_not_finite_once_does_not_spoil_the_run(valley: Tensor) -> None:
    found = run(spoiled(bowl(valley), {1: math.nan}))
    assert len(found.warnings) == 1
    assert found.best.total < 1e-6 * valley.square().sum().item()


def test_picture_returned_is_the_best_and_not_the_last(valley: Tensor) -> None:
    seen: list[Tensor] = []

    def remember(picture: Tensor) -> Evaluation:
        seen.append(picture.clone())
        return bowl(valley)(picture)

    found = run(spoiled(remember, {3: 0.5, 4: 1.0, 5: 2.0}), steps=5)
    assert found.best.number == 3 and found.last.number == 5
    assert torch.equal(found.picture, seen[2])
    assert not torch.equal(found.picture, seen[4])


def test_run_that_is_left_takes_no_further_step(valley: Tensor) -> None:
    course, rests = begin(), 0
    for taken in minimise(bowl(valley), course, steps=10):
        rests += not taken
        if rests == 3:
            break
    assert course.taken == 3


def test_picture_is_the_losses_own_while_its_step_is_told_and_moved_on_at_rest(
    valley: Tensor,
) -> None:
    course = begin()
    moments = minimise(bowl(valley), course, steps=2)
    (step,) = next(moments)
    assert (course.picture - valley).square().sum().item() == pytest.approx(step.total, rel=1e-6)
    assert not next(moments)
    assert (course.picture - valley).square().sum().item() < step.total


def test_run_ends_once_the_loss_has_hardly_fallen_for_a_while() -> None:
    flat = make_evaluation(5.0, torch.zeros(SHAPE))
    found = run(lambda _: flat, steps=1000)
    assert found.converged and found.last.number == CONVERGED_WINDOW + 1
    assert found.warnings == ()


def test_run_goes_on_while_the_loss_still_falls(valley: Tensor) -> None:
    slowly = {number: 100.0 * 0.999**number for number in range(1, 100)}  # 2 % in 20 steps
    found = run(spoiled(bowl(valley), slowly), steps=60)
    assert not found.converged and found.last.number == 60


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_lbfgs_takes_the_same_steps_whatever_the_scale_of_the_loss(
    valley: Tensor, scale: float
) -> None:
    steepness = torch.linspace(0.5, 20.0, SHAPE.numel()).view(SHAPE)
    plain, scaled = Lbfgs(SHAPE, MEMORY, 5), Lbfgs(SHAPE, MEMORY, 5)
    one, other = torch.zeros(SHAPE), torch.zeros(SHAPE)
    for _ in range(12):
        plain.advance(one, steepness * (one - valley))
        scaled.advance(other, scale * steepness * (other - valley))
    torch.testing.assert_close(other, one, rtol=0, atol=1e-3)  # float32, over twelve steps


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
@pytest.mark.parametrize("steps", [1, 9, 10, 15])
def test_reading_losses_in_bursts_changes_nothing_else(
    valley: Tensor, optimiser: str, steps: int
) -> None:
    # Steeper in some pixels, so that the steps are many.
    steepness = torch.linspace(1.0, 300.0, valley.numel()).view(SHAPE)
    one, burst = (
        run(bowl(valley, steepness), optimiser, steps=steps, burst=burst) for burst in (1, 10)
    )
    assert torch.equal(one.picture, burst.picture)
    assert (one.best.number, one.best.total) == (burst.best.number, burst.best.total)
    assert (one.first.total, one.last.total) == (burst.first.total, burst.last.total)
    assert burst.last.number == steps


def test_steps_of_a_burst_are_reported_one_by_one(valley: Tensor) -> None:
    seen: list[int] = []
    steepness = torch.linspace(1.0, 300.0, valley.numel()).view(SHAPE)
    run(
        bowl(valley, steepness), steps=12, burst=5, on_step=lambda step, _: seen.append(step.number)
    )
    assert seen == list(range(1, 13))


@pytest.mark.parametrize("total", [math.nan, math.inf, 1e9])
def test_loss_gone_wrong_within_a_burst_goes_back_to_the_best(valley: Tensor, total: float) -> None:
    wrong = spoiled(bowl(valley), dict.fromkeys(range(7, 11), total))
    found = run(wrong, steps=60, burst=5)
    assert found.warnings and "at step 7" in found.warnings[0]
    assert found.best.total < 1e-4 * found.first.total


def test_gradient_that_is_no_number_is_forgotten(valley: Tensor) -> None:
    calls = iter(range(1, 10_000))
    sound = bowl(valley, torch.linspace(1.0, 300.0, valley.numel()).view(SHAPE))

    def evaluate(picture: Tensor) -> Evaluation:
        if next(calls) in (4, 5):
            return make_evaluation(math.nan, torch.full(SHAPE, math.nan))
        return sound(picture)

    found = run(evaluate, steps=120, burst=5)
    assert len(found.warnings) == 1
    assert found.best.total < 1e-3 * found.first.total


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
@pytest.mark.parametrize("taken", [1, 3, 9])
def test_run_goes_on_from_its_state_as_if_nothing_had_happened(
    valley: Tensor, optimiser: str, taken: int
) -> None:
    steepness = torch.linspace(1.0, 300.0, valley.numel()).view(SHAPE)

    def start() -> Course:
        return begin(optimiser, 4)

    evaluate = bowl(valley, steepness)
    whole = go_on(evaluate, start(), steps=14)
    first = start()
    go_on(evaluate, first, steps=taken)
    tensors, facts = first.state()
    tensors = {name: one.clone() for name, one in tensors.items()}
    second = start()
    second.resume(tensors, json.loads(json.dumps(facts)))
    found = go_on(evaluate, second, steps=14)
    assert torch.equal(found.picture, whole.picture)
    assert (found.best.number, found.best.total) == (whole.best.number, whole.best.total)
    assert found.first.total == whole.first.total and found.last.total == whole.last.total


def test_run_that_goes_on_still_has_the_best_picture_of_before(valley: Tensor) -> None:
    seen: list[Tensor] = []

    def remember(picture: Tensor) -> Evaluation:
        seen.append(picture.clone())
        return bowl(valley)(picture)

    first, second = begin(), begin()
    go_on(spoiled(remember, {2: 0.5, 3: 1.0}), first, steps=3)
    tensors, facts = first.state()
    tensors = {name: one.clone() for name, one in tensors.items()}
    second.resume(tensors, json.loads(json.dumps(facts)))
    found = go_on(spoiled(bowl(valley), {1: 2.0, 2: 3.0}), second, steps=5)
    assert (found.best.number, found.best.total, found.last.number) == (2, 0.5, 5)
    assert torch.equal(found.picture, seen[1])


def test_state_of_another_size_is_refused(valley: Tensor) -> None:
    course = begin(history=4)
    go_on(bowl(valley), course, steps=2)
    other = Course(
        torch.zeros(1, 3, 8, 9),
        make_optimiser(Recipe(), torch.Size((1, 3, 8, 9)), MEMORY, 4),
        MEMORY,
    )
    with pytest.raises(RuntimeError):
        other.resume(*course.state())


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_vectors_that_lie_in_a_file_change_nothing(
    valley: Tensor, optimiser: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "BAND", 50)  # four bands of a picture of 192 values
    steepness = torch.linspace(1.0, 300.0, valley.numel()).view(SHAPE)
    pictures = []
    for place in (MEMORY, Scratch(CPU, aside=tmp_path)):
        course = begin(optimiser, 4, place)
        found = go_on(spoiled(bowl(valley, steepness), {9: math.inf}), course, steps=30)
        assert len(found.warnings) == 1
        pictures.append(found.picture.clone())
    assert torch.equal(*pictures)
    assert not list(tmp_path.iterdir())  # its files have no names


def test_bands_change_no_more_than_rounding(
    valley: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = bowl(valley, torch.linspace(1.0, 300.0, valley.numel()).view(SHAPE))
    whole = run(evaluate, steps=12)
    monkeypatch.setattr(scratch, "BAND", 50)
    torch.testing.assert_close(run(evaluate, steps=12).picture, whole.picture, rtol=0, atol=1e-4)


@pytest.mark.parametrize("burst", [1, 5])
def test_no_gradient_outlives_its_step(valley: Tensor, burst: int) -> None:
    # Each is as large as the picture, and would lie beside the network's maps.
    before: list[weakref.ref[Tensor]] = []

    def evaluate(picture: Tensor) -> Evaluation:
        assert not any(gradient() is not None for gradient in before)
        found = bowl(valley)(picture)
        before.append(weakref.ref(found.gradient))
        return found

    run(evaluate, steps=12, burst=burst)
    assert len(before) == 12
