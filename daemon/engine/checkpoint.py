"""Where a painting stands between two steps: tensors and plain data to go on from elsewhere."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from daemon.engine.errors import CheckpointError
from daemon.engine.fit.plan import Plan
from daemon.engine.optimise.steps import Course, Step
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass

CHECKPOINT_FORMAT = 2
BEFORE = {"statistics": "gram", "preconditioner": "fourier"}
"""What recipes meant before they had a setting, where that is not its default."""


@dataclass(frozen=True)
class Checkpoint:
    """A painting on its way, to go on from in another process: tensors and plain data.

    facts: the `identity` of the painting, the pass's `plan` and the `seconds` spent in it,
    `reports` of the passes before it, `warnings`, and the `course` of the optimisation; `light` is
    true where the optimiser's tensors were left out, to be carried to another machine.
    release: to be called after reading a tensor, which may be large and lie in a file.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    release: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class PassReport:
    """What one pass came to; `converged` if it ended before its last step.

    best: the losses of the picture that it went on with.
    """

    size: Pass
    plan: Plan
    seconds: float
    first: Step
    last: Step
    converged: bool
    best: Step

    def as_data(self) -> dict[str, Any]:
        """The report as a checkpoint keeps it."""
        return {
            "size": asdict(self.size),
            "plan": asdict(self.plan),
            "seconds": self.seconds,
            "first": self.first.as_data(),
            "last": self.last.as_data(),
            "converged": self.converged,
            "best": self.best.as_data(),
        }

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> "PassReport":
        """The report of `as_data`; raises KeyError or TypeError if it is none."""
        return PassReport(
            Pass(**data["size"]),
            Plan(**data["plan"]),
            data["seconds"],
            Step.from_data(data["first"]),
            Step.from_data(data["last"]),
            data["converged"],
            Step.from_data(data.get("best", data["last"])),  # an earlier version told none
        )


@dataclass(frozen=True)
class Earlier:
    """How the pass of a checkpoint was computed before, and where its optimisation stands.

    light: without what the optimiser had learnt.
    """

    plan: Plan
    seconds: float
    tensors: Mapping[str, Tensor]
    course: Mapping[str, Any]
    light: bool = False

    def still_good(self, now: Plan) -> Plan:
        """Its plan, unless there is less memory now: then today's, which has its history."""
        return self.plan if self.plan.predicted_bytes <= now.budget_bytes else now


@dataclass(frozen=True)
class ResumePoint:
    """The finished passes, the warnings so far, and the pass under way, if it was begun."""

    reports: list[PassReport]
    warnings: list[str]
    earlier: Earlier | None


def resume_point(resumed: Checkpoint | None, identity: Mapping[str, Any]) -> ResumePoint:
    """Where a painting goes on; raises CheckpointError if the checkpoint is of another one.

    identity: what a checkpoint's painting must have been made of to go on with it.
    """
    if resumed is None:
        return ResumePoint([], [], None)
    try:
        facts = resumed.facts
        if of_today(facts["identity"]) != identity:
            raise CheckpointError("it belongs to another painting, or another way of computing it")
        plan, is_light = Plan(**facts["plan"]), bool(facts.get("light"))
        earlier = Earlier(plan, facts["seconds"], resumed.tensors, facts["course"], is_light)
        reports = [PassReport.from_data(report) for report in facts["reports"]]
        return ResumePoint(reports, list(facts["warnings"]), earlier)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"it is not understood ({error!r})") from error


def of_today(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The identity with the settings that recipes did not have yet when it was kept."""
    recipe = Recipe.model_validate({**BEFORE, **identity["recipe"]})
    return {**identity, "recipe": recipe.model_dump(mode="json")}


def make_checkpoint(
    identity: Mapping[str, Any],
    course: Course,
    plan: Plan,
    began_s: float,
    reports: Sequence[PassReport],
    warnings: Sequence[str],
) -> Checkpoint:
    """Where a painting stands now, valid until its next step.

    began_s: when its pass began, by `time.perf_counter`.
    """
    tensors, course_facts = course.state()
    facts = {
        "identity": identity,
        "plan": asdict(plan),
        "seconds": time.perf_counter() - began_s,
        "reports": [report.as_data() for report in reports],
        "warnings": list(warnings),
        "course": course_facts,
    }
    return Checkpoint(tensors, facts, course.scratch.release)
