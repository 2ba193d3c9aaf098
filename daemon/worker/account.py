"""What a worker tells of a run: in words for its log, and at the end for the record."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.engine import Engine
from daemon.engine.errors import CheckpointError
from daemon.engine.estimate import estimate_s
from daemon.engine.faces import Face
from daemon.engine.fit import memory
from daemon.engine.fit.plan import Plan
from daemon.engine.optimise.steps import Step
from daemon.engine.paint import Painted, Stepped
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass, plan_passes
from daemon.engine.shortage import shortage
from daemon.messages import Done, FullPicture, PassAccount, PassPlan
from daemon.pictures.picture import Picture
from daemon.worker.gate import figures_of


def describe_step(moment: Stepped) -> str:
    """A step and its losses, in a line."""
    step, size = moment.step, moment.passes[moment.pass_number - 1]
    losses = " ".join(f"{name} {loss:.5g}" for name, loss in losses_of(step).items())
    return (
        f"pass {moment.pass_number}/{len(moment.passes)} ({size.width_px}x{size.height_px}) "
        f"step {step.number}/{size.steps}: {losses} ({step.seconds:.2f} s)"
    )


def describe(engine: Engine, picture: Picture, recipe: Recipe) -> str:
    """What is about to be done, in a line."""
    width, height = picture.size
    return (
        f"painting {width}x{height} px {picture.format} to size {recipe.size} on {engine.device} "
        f"in {engine.arithmetic} with weights {engine.weights_name}"
    )


def describe_faces(faces: Sequence[Face]) -> str:
    """The faces found in a picture, in a line."""
    boxes = ", ".join(
        f"{one.width_px}x{one.height_px} px at {one.left_px}, {one.top_px}" for one in faces
    )
    return f"faces: {boxes or 'none found'}"


def describe_checkpoint(checkpoint: Checkpoint) -> str:
    """Where a run goes on, in words; raises CheckpointError if that is not to be understood."""
    try:
        passes, taken = len(checkpoint.facts["reports"]), checkpoint.facts["course"]["taken"]
    except (KeyError, TypeError) as error:  # written by another version
        raise CheckpointError(f"it is not understood ({error!r})") from error
    return f"after step {taken} of pass {passes + 1}"


def describe_plan(size: Pass, plan: Plan) -> str:
    """How a pass will be computed, in a line."""
    return (
        f"{size.width_px}x{size.height_px} px: {tiles_of(plan)}, history {plan.history}"
        f"{', vectors aside' if plan.aside else ''}, "
        f"{plan.predicted_bytes / 1e9:.2f} GB expected of {plan.budget_bytes / 1e9:.2f} GB"
    )


def tiles_of(plan: Plan) -> str:
    """The tiles of a plan in words."""
    return f"tiles of {plan.tile_px} px" if plan.tile_px else "one tile"


def announcement(size: Pass, plan: Plan, engine: Engine) -> PassPlan:
    """What the pool is to know of a pass, should memory run out in it."""
    return PassPlan(
        size=f"{size.width_px}x{size.height_px} px",
        tiles=tiles_of(plan),
        predicted_bytes=plan.predicted_bytes,
        held_bytes=memory.held_bytes(engine.device),
        budget_bytes=plan.budget_bytes,
    )


def account(engine: Engine, picture: Picture, painting: Painted, seconds: float) -> Done:
    """What the record says of a run; without its result's file, and what writing that warns of."""
    width, height = picture.size
    passes = tuple(
        PassAccount(
            width_px=report.size.width_px,
            height_px=report.size.height_px,
            steps=report.last.number,
            seconds=round(report.seconds, 3),
            converged=report.converged,
            plan=asdict(report.plan),
            loss=losses_of(report.last),
        )
        for report in painting.passes
    )
    return Done(
        width_px=width,
        height_px=height,
        weights={"name": engine.weights_name, "sha256": engine.weights_sha256},
        device=str(engine.device),
        dtype=str(engine.dtype).removeprefix("torch."),
        passes=passes,
        first_loss=losses_of(painting.passes[0].first),
        last_loss=losses_of(painting.passes[-1].last),
        seconds=round(seconds, 3),
        peak_memory_bytes=memory.peak_bytes(engine.device),
        warnings=(*picture.warnings, *painting.warnings),
        judge=figures_of(painting.judgement),
    )


def noted(engine: Engine, painting: Painted) -> dict[str, Any]:
    """What the result itself tells of its painting; no times, so that the same is the same file."""
    first, last = painting.passes[0].first, painting.passes[-1].last
    return {
        "weights": {"name": engine.weights_name, "sha256": engine.weights_sha256},
        "first_loss": rounded(losses_of(first)),
        "last_loss": rounded(losses_of(last)),
    }


def rounded(losses: Mapping[str, float]) -> dict[str, float]:
    """Losses in five digits: what comes after them is the arithmetic's."""
    return {name: float(f"{loss:.5g}") for name, loss in losses.items()}


def foretell(
    engine: Engine,
    picture: Picture,
    recipe: Recipe,
    proof: Painted,
    step_s: Sequence[float],
    *,
    maps: int = 0,
) -> FullPicture:
    """The size of a proof's full picture, and its seconds; None if the proof is the full picture.

    step_s: of the steps of the proof's last pass.  maps: how many maps of weights it has.
    """
    full = engine.foresee(recipe, *picture.size, maps=maps)
    painted = [(report.size, report.last.number) for report in proof.passes]
    is_full = [size for size, _ in full] == [size for size, _ in painted]
    size = full[-1][0]
    seconds = estimate_s(full, recipe, painted, statistics.median(step_s))
    return FullPicture(size.width_px, size.height_px, None if is_full else round(seconds))


def foresee_shortage(
    engine: Engine, picture: Picture, recipe: Recipe, *, maps: int = 0
) -> tuple[str, ...]:
    """A warning if a proof's full picture needs far more memory than it may take."""
    full = plan_passes(recipe, *picture.size)[-1]
    why = shortage(engine, recipe, full, maps)
    return (f"the full picture would be refused: {why}",) if why else ()


def losses_of(step: Step) -> dict[str, float]:
    """The losses of a step: the total, and each term's by name, without its weight."""
    return {"total": step.total, **step.losses}
