"""The way in and the way out, styles and scripts, and the stream of news."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse

from daemon.page.frame import show
from daemon.page.guard import cookie
from daemon.page.site import site_of

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
}
WRONG = "That is not the password."
HOUR = "private, max-age=3600"


def login(request: Request) -> Response:
    """Asks for the secret."""
    if not site_of(request).sessions.locked:
        return RedirectResponse("/", 303)
    return show(request, "login.html", "", fault="", nav=[])


def let_in(request: Request) -> Response:
    """Gives a session to who knows the secret."""
    sessions = site_of(request).sessions
    if sessions.attempts.spent():
        fault = "Too many wrong passwords. Wait a minute and try again."
        return show(request, "login.html", "", 429, fault=fault, nav=[])
    if not sessions.knows(request.scope["form"].get("password", "")):
        sessions.attempts.note()
        return show(request, "login.html", "", 401, fault=WRONG, nav=[])
    answer = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    answer.headers.append("Set-Cookie", cookie(sessions.begin(), secure=secure))
    return answer


def log_out(request: Request) -> Response:
    """Takes the session away."""
    answer = RedirectResponse("/login", 303)
    secure = request.url.scheme == "https"
    answer.headers.append("Set-Cookie", cookie("", secure=secure, age_s=0))
    return answer


def static(request: Request) -> Response:
    """A style or script: one of those that there are, and nothing else."""
    known: Mapping[str, Path] = request.app.state.static
    path = known.get(request.path_params["name"])
    if path is None:
        raise HTTPException(404, "there is no such file")
    kind = KINDS.get(path.suffix, "application/octet-stream")
    return FileResponse(path, media_type=kind, headers={"Cache-Control": HOUR})


async def news(request: Request) -> Response:
    """Tells a view whenever something is new, for as long as it is open."""
    watcher = site_of(request).watcher
    if watcher.full:
        raise HTTPException(503, "too many views are open; close some")

    async def events() -> AsyncIterator[str]:
        async for event in watcher.events():
            yield event

    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(events(), 200, headers, "text/event-stream; charset=utf-8")


def token(request: Request) -> Response:
    """The token of this session, for a view that was open while the session became another."""
    return Response(request.scope.get("token", ""), media_type="text/plain")
