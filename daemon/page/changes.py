"""What people ask for at the page: each goes the way that the command of its name goes."""

from collections.abc import Callable, Mapping
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from daemon.commands.approval import approve_jobs, reject_jobs
from daemon.commands.jobs import Answer, cancel_jobs, retry_jobs
from daemon.commands.order import first_jobs, move_job
from daemon.errors import AtelierError
from daemon.host.bounded import NoAnswerError, within
from daemon.ledger.store import utc_now
from daemon.page.site import Site, site_of
from daemon.settings.config import Config
from daemon.state.pause import pause, paused_since, resume

Form = Mapping[str, str]
Change = Callable[[Config, str, Form], list[Answer]]


def approve(config: Config, job: str, form: Form) -> list[Answer]:
    """Has a proof's full picture painted, or the proof once more, with what the form says."""
    settings = [f"{name}={form[name].strip()}" for name in ("beta", "size") if form.get(name)]
    return list(approve_jobs(config, [job], settings, proof=bool(form.get("proof"))))


CHANGES: Mapping[str, Change] = {
    "cancel": lambda config, job, form: list(cancel_jobs(config, [job])),
    "first": lambda config, job, form: list(first_jobs(config, [job])),
    "move": lambda config, job, form: [move_job(config, job, before=form.get("before") or None)],
    "approve": approve,
    "reject": lambda config, job, form: list(reject_jobs(config, [job])),
    "retry": lambda config, job, form: list(retry_jobs(config, [job], failed=False)),
}
"""What may be asked of a job, by the word in the address."""


def change_job(request: Request) -> Response:
    """Does what was asked for with one job."""
    change = CHANGES.get(request.path_params["change"])
    if change is None:
        raise HTTPException(404)
    job = request.path_params["job"]
    return did(request, partial(change, site_of(request).config, job, request.scope["form"]))


def retry_failed(request: Request) -> Response:
    """Puts the picture of every failed job back into the inbox."""
    config = site_of(request).config
    return did(request, lambda: list(retry_jobs(config, [], failed=True)) or NOTHING_FAILED)


ANSWER_S = 10.0
LATE = Answer(fault="it takes long: a disk or share is slow or hangs. It goes on; look again later")
BUSY = Answer(
    fault="nothing was done: much that was asked for waits for a disk or share that hangs"
)
NOTHING_FAILED = [Answer("there is no failed job")]


def pause_painting(request: Request) -> Response:
    """Lets nothing run until it is resumed."""
    state = site_of(request).config.state

    def work() -> list[Answer]:
        if paused_since(state) is None:
            pause(state, utc_now())
        return [Answer("painting is paused; pictures are still taken in")]

    return did(request, work)


def resume_painting(request: Request) -> Response:
    """Lets jobs run again."""
    state = site_of(request).config.state

    def work() -> list[Answer]:
        resume(state)
        return [Answer("painting goes on")]

    return did(request, work)


def did(request: Request, work: Callable[[], list[Answer]]) -> Response:
    """Does something and tells what came of it: a script in JSON, a person on the view before.

    What hangs in a share is done once that answers; few threads may wait for that.
    """
    answers: list[Answer] = []
    changers = site_of(request).changers

    def change() -> None:
        try:
            answers.extend(work())
        finally:
            changers.release()

    if not changers.acquire(blocking=False):
        return told(request, [BUSY])
    try:
        within(ANSWER_S, change)
    except NoAnswerError:
        answers = [LATE]
    except AtelierError as error:
        answers = [Answer(fault=str(error))]
    return told(request, answers)


def told(request: Request, answers: list[Answer]) -> Response:
    """What came of something: a script is told in JSON, a person on the view they came from."""
    site: Site = site_of(request)
    if "application/json" in request.headers.get("accept", ""):
        faults = [fault for _, fault in answers if fault]
        done = [done for done, fault in answers if not fault]
        return JSONResponse({"done": done, "faults": faults}, 409 if faults else 200)
    key = site.answers.keep([(done, fault) for done, fault in answers])
    back = request.scope["form"].get("back", "/")
    path = back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/"
    return RedirectResponse(f"{path}{'&' if '?' in path else '?'}said={key}", 303)
