"""Deciding about proofs that wait: the full picture, another proof, or neither.

Works beside a running service and without one: only the ledger is changed, and the service, which
looks there twice a second, does the rest.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from daemon.commands.jobs import Answer, Said, find_job, named, no_ledger
from daemon.engine.errors import PictureError
from daemon.errors import AtelierError, BadInputError, StaleJobError, SurroundingsError
from daemon.host import files
from daemon.host.access import explain
from daemon.intake.decode import Verdict
from daemon.intake.drafts import Drafting, suffix_of
from daemon.intake.preset_choice import Choice, place_of
from daemon.job import Approval, ClaimedPicture, Draft, Job, State
from daemon.ledger.store import Ledger
from daemon.messages import Done
from daemon.pictures.form import JobRecipe
from daemon.pictures.read import read_header
from daemon.settings.assignments import settings_document
from daemon.settings.config import Config
from daemon.settings.masks import MaskSource
from daemon.settings.presets import Preset, Shelf, mask_of, override, profiles_of
from daemon.settings.profiles import ProfileSource
from daemon.settings.sources import StyleSource
from daemon.settings.yamlfile import Document
from daemon.state.spool import Spool
from daemon.status.report import in_words

REJECTED_REASON = "Rejected after its proof was looked at."


def approve_jobs(
    config: Config, asked: Sequence[str], settings: Sequence[str] = (), *, proof: bool = False
) -> Said:
    """Has the full pictures of proofs painted, or the proofs once more.

    settings: KEY=VALUE, over what the proofs were painted with; checked as a sidecar's fields are.
    proof: paint proofs again, which wait again.
    """
    return on_each_proof(config, asked, partial(approve, config, settings=settings, proof=proof))


def approve_all(config: Config) -> Said:
    """`approve_jobs` for all whose proofs wait now."""
    if no_ledger(config, ["all"]) is not None:
        return []
    with contextlib.closing(Ledger(config.ledger_path, read_only=True)) as ledger:
        waiting = [job.id for job in ledger.views.awaiting(limit=-1)]
    return approve_jobs(config, waiting)


def reject_jobs(config: Config, asked: Sequence[str]) -> Said:
    """Ends jobs whose proofs wait: their pictures go to the outbox's folder of failed ones."""
    return on_each_proof(config, asked, reject)


def on_each_proof(
    config: Config, asked: Sequence[str], decide: Callable[[Ledger, Job], str]
) -> Said:
    """What was decided about each job, or why nothing was; one that cannot be holds up no others.

    decide: returns what it has done, in words; raises AtelierError.
    """
    if (nothing := no_ledger(config, asked)) is not None:
        return nothing
    answers: Said = []
    with contextlib.closing(Ledger(config.ledger_path)) as ledger:
        for prefix in asked:
            try:
                job = find_job(ledger, prefix)
                check_awaiting(job)
                answers.append(Answer(f"{named(job)}: {decide(ledger, job)}"))
            except AtelierError as error:
                answers.append(Answer(fault=f"{prefix}: {error}"))
            except OSError as error:  # a style image or the state folder; the others go on
                answers.append(Answer(fault=f"{prefix}: {explain(error)}"))
    return answers


def check_awaiting(job: Job) -> None:
    """Raises StaleJobError, which says what a job does instead, unless its proof waits."""
    if job.state is State.AWAITING:
        return
    if job.state is State.PUBLISHING and job.verdict is State.AWAITING:
        raise StaleJobError("its proof is painted, and not in the outbox yet: see atelierd status")
    is_open = job.state in (State.READY, State.RUNNING)
    if is_open and job.approval is Approval.ASKED:
        raise StaleJobError(f"its proof is not painted yet: it is {job.state}")
    if is_open and job.approval is Approval.GIVEN:
        raise StaleJobError(f"is approved already: it is {job.state}")
    raise StaleJobError(f"is {job.state}; only proofs that wait can be decided about")


def reject(ledger: Ledger, job: Job) -> str:
    """Ends a job whose proof waits; returns what was done, in words."""
    ledger.proofs.reject(job.id, REJECTED_REASON)
    return "rejected; its picture goes to the outbox's folder failed"


def approve(
    config: Config, ledger: Ledger, job: Job, *, settings: Sequence[str], proof: bool
) -> str:
    """Has the full picture of a proof painted, or another proof; returns that in words.

    Raises AtelierError, or OSError, where the settings will not do.
    """
    draft = redraft(config, job, ledger.picture(job.picture_id), settings, proof=proof)
    of_proof = job.outcome.warnings if job.outcome else ()
    kept = [warning for warning in job.warnings if warning not in of_proof]
    ledger.proofs.repaint(job.id, draft, [*kept, *draft.warnings])
    if proof:
        return "its proof is painted anew"
    full = (job.outcome or Done()).full
    if settings or full is None or full.seconds is None:
        return "approved"
    took = f"about {in_words(full.seconds)}"
    return f"approved: {full.width_px}x{full.height_px} px, {took}"


def redraft(
    config: Config, job: Job, picture: ClaimedPicture, settings: Sequence[str], *, proof: bool
) -> Draft:
    """A job as it is to be painted after its proof, all that it needs kept in the spool.

    Raises AtelierError for settings that will not do, and OSError.
    """
    spool, folder = Spool(config.state), config.presets
    preset, document = preset_of_job(spool, job), settings_document(settings)
    recipe = override(preset.recipe, document)
    profiles = profiles_of(recipe, preset, folder, document)
    mask = mask_of(recipe, preset, folder, document)
    verdict = verdict_of(config, spool, job, picture, preset)
    choice = Choice(job.preset, recipe, preset, "", profiles, mask, job.label, approve=proof)
    own = job.mask if job.mask is not None and job.mask.own else None
    dropped = place_of(picture.path, config.inbox_folders).priority
    drafting = Drafting(config, spool, Shelf(folder, {}, {}))
    priority = min(job.priority, dropped)
    draft = drafting.draft(choice, job.below, picture.sha256, priority, verdict, own)
    if draft.reason:
        raise BadInputError(draft.reason)
    return replace(draft, approval=Approval.ASKED if proof else Approval.GIVEN)


def preset_of_job(spool: Spool, job: Job) -> Preset:
    """What a job was queued with, as a preset whose files lie in the spool."""
    styles = tuple(
        StyleSource(spool.style(one.sha256), one.weight, one.name, one.sha256, one.region)
        for one in job.styles
    )
    profiles = tuple(
        ProfileSource(spool.profile(one.sha256), one.name, one.sha256) for one in job.profiles
    )
    mask = None
    if job.mask is not None and not job.mask.own:
        sha256 = job.mask.sha256
        mask = MaskSource(spool.mask(sha256), job.mask.name, sha256)
    recipe = JobRecipe.model_validate(dict(job.recipe))
    return Preset(job.preset, spool.job(job.id), recipe, styles, "", profiles, mask)


def verdict_of(
    config: Config, spool: Spool, job: Job, picture: ClaimedPicture, preset: Preset
) -> Verdict:
    """What decoding said of a picture when it was taken, as far as results depend on it.

    That it has transparent parts is not in the ledger: it is what explains its result's name, and
    where that tells nothing, what its header says.  Raises SurroundingsError.
    """
    shown = files.printable(picture.path)
    try:
        with files.open_ordinary(spool.picture(picture.id)) as file:
            header = read_header(file, shown, config.limits.picture_pixels)
    except (OSError, PictureError) as error:
        raise SurroundingsError(
            f"the copy of {shown} in the state folder cannot be used: {error}; restart the "
            "service, which makes it again"
        ) from error
    verdicts = [
        Verdict(picture.width_px, picture.height_px, format=picture.format, alpha=alpha)
        for alpha in (header.alpha, not header.alpha)
    ]
    profiles = profiles_of(preset.recipe, preset, config.presets, Document(job.preset))
    name = job.below.name
    explains = (
        one for one in verdicts if suffix_of(preset.recipe, profiles, name, one) == job.suffix
    )
    return next(explains, verdicts[0])
