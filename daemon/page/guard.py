"""What stands before every view: which requests are answered at all, and what all answers say.

The order is that of the checks: a name we are not called by comes first, since a page of somebody
else's that has its name point here (DNS rebinding) passes every other check.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.page.sessions import COOKIE, SESSION_S, Sessions
from daemon.settings.page import PageSettings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
HOST_HEADER = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.ASCII)
METHODS = frozenset({"GET", "HEAD", "POST"})
FORM = "application/x-www-form-urlencoded"
MOST_FORM_BYTES = 65_536
MOST_FIELDS = 100
OPEN_PATHS = frozenset({"/login"})
STATIC = "/static/"
CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf"

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: browsers would send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True)
class Asked:
    """What of a request decides whether it is answered. headers: names in lower case, the last of
    each; hosts: every `Host` there was.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    hosts: tuple[str, ...]
    session: str | None = None
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def bearer(self) -> str | None:
        """The secret that a program sends along."""
        kind, _, secret = self.headers.get("authorization", "").partition(" ")
        return secret.strip() if kind.lower() == "bearer" else None


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered. to_login: whether a person is shown the way in instead."""

    status: int
    why: str
    to_login: bool = False


def names_of(page: PageSettings) -> frozenset[str]:
    """The names that the page may be asked for by."""
    host = page.address.host.lower()
    own = f"[{host}]" if ":" in host else host
    return frozenset({own, *LOOPBACK, *page.hosts}) - {"0.0.0.0", "[::]"}


def refusal(asked: Asked, names: Collection[str], sessions: Sessions) -> Refusal | None:
    """Why a request is not answered; None for one that is."""
    return (
        wrong_host(asked, names)
        or wrong_method(asked)
        or wrong_origin(asked)
        or wrong_person(asked, sessions)
        or wrong_token(asked, sessions)
    )


def wrong_host(asked: Asked, names: Collection[str]) -> Refusal | None:
    """A refusal unless there is one host, and it is a name of ours."""
    found = HOST_HEADER.fullmatch(asked.hosts[0].lower()) if len(asked.hosts) == 1 else None
    if found is not None and found[1] in names:
        return None
    return Refusal(421, "nothing is served under this name; list it in `page: hosts`")


def wrong_method(asked: Asked) -> Refusal | None:
    """A refusal for anything but looking and asking."""
    return None if asked.method in METHODS else Refusal(405, "only GET, HEAD and POST are answered")


def wrong_origin(asked: Asked) -> Refusal | None:
    """A refusal for a change that another site's page asks for."""
    if asked.method != "POST":
        return None
    origin, site = asked.headers.get("origin"), asked.headers.get("sec-fetch-site")
    own = {f"{scheme}://{asked.hosts[0].lower()}" for scheme in ("http", "https")}
    if origin is not None:
        came_from_us = origin.lower() in own and site in (None, "same-origin")
    else:
        came_from_us = site == "same-origin" or (site is None and asked.bearer is not None)
    return None if came_from_us else Refusal(403, "this was asked for by another site's page")


def wrong_person(asked: Asked, sessions: Sessions) -> Refusal | None:
    """A refusal for who has not shown a secret, where one is needed."""
    if asked.bearer is not None and sessions.locked:
        if sessions.attempts.spent():
            return Refusal(429, "too many wrong secrets; wait a minute")
        if sessions.knows(asked.bearer):
            return None
        sessions.attempts.note()
        return Refusal(401, "this is not the token of this page")
    if not sessions.locked or asked.path in OPEN_PATHS or asked.path.startswith(STATIC):
        return None
    if sessions.holds(asked.session):
        return None
    return Refusal(401, "log in first", to_login=asked.method != "POST")


def wrong_token(asked: Asked, sessions: Sessions) -> Refusal | None:
    """A refusal for a change whose request does not come from a view of this session.

    Who shows the page's token needs none: no other site's page can send that along.
    """
    is_program = sessions.locked and asked.bearer is not None
    if asked.method != "POST" or is_program or asked.path in OPEN_PATHS:
        return None
    token = asked.headers.get(CSRF_HEADER) or asked.form.get(CSRF_FIELD)
    if sessions.holds(asked.session) and sessions.is_meant(asked.session or "", token):
        return None
    return Refusal(403, "this view is too old to ask for changes; load it anew")


class Guard:
    """Lets through to `app` what may be asked, and says in every answer what browsers may do.

    A view finds the fields of a form, the session and its token in the scope (`form`, `token`).
    """

    def __init__(self, app: ASGIApp, page: PageSettings, sessions: Sessions) -> None:
        self._app = app
        self._names = names_of(page)
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        asked = asked_of(scope)
        if wrong_host(asked, self._names) is None and is_form(asked):
            content = await small_body(receive)
            if content is None:
                await answer(413, f"a form has at most {MOST_FORM_BYTES} bytes")(
                    scope, receive, with_headers(send, {})
                )
                return
            asked = with_form(asked, content)
        found = refusal(asked, self._names, self._sessions)
        if found is not None:
            await refuse(found, asked)(scope, receive, with_headers(send, {}))
            return
        await self._pass_on(asked, scope, receive, send)

    async def _pass_on(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands a request on, with a session where none is needed and there is none yet."""
        session, extra = asked.session, {}
        if not self._sessions.holds(session):
            session = None
            if not self._sessions.locked and not asked.path.startswith(STATIC):
                session = self._sessions.begin()
                extra = {"Set-Cookie": cookie(session, secure=scope["scheme"] == "https")}
        scope["form"] = asked.form
        scope["token"] = self._sessions.token(session) if session else ""
        await self._app(scope, receive, with_headers(send, extra))


def asked_of(scope: Scope) -> Asked:
    """What a request of ASGI says that decides about it."""
    pairs = [(key.decode("latin-1"), value.decode("latin-1")) for key, value in scope["headers"]]
    headers = dict(pairs)
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        cookies = SimpleCookie()
    hosts = tuple(value for key, value in pairs if key == "host")
    session = cookies[COOKIE].value if COOKIE in cookies else None
    return Asked(scope["method"], scope["path"], headers, hosts, session)


def is_form(asked: Asked) -> bool:
    """Whether a request's body is a form's fields."""
    kind = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
    return asked.method == "POST" and kind == FORM


async def small_body(receive: Receive) -> bytes | None:
    """The whole of a short body; None for one that is too long, or breaks off."""
    content = b""
    while True:
        message: Message = await receive()
        if message["type"] != "http.request":
            return None
        content += bytes(message.get("body", b""))
        if len(content) > MOST_FORM_BYTES:
            return None
        if not message.get("more_body", False):
            return content


def with_form(asked: Asked, content: bytes) -> Asked:
    """The same with the fields of its form, the last of each name; none where it is no form."""
    try:
        fields = parse_qsl(content.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        fields = []
    return Asked(asked.method, asked.path, asked.headers, asked.hosts, asked.session, dict(fields))


def refuse(found: Refusal, asked: Asked) -> Response:
    """The answer to a request that is refused; a person who is not logged in is shown where."""
    if found.to_login and "text/html" in asked.headers.get("accept", ""):
        return RedirectResponse("/login", status_code=303)
    return answer(found.status, found.why)


def answer(status: int, why: str) -> Response:
    """A refusal in a line of text."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return PlainTextResponse(f"{why}\n", status, headers)


def cookie(session: str, *, secure: bool, age_s: int = SESSION_S) -> str:
    """The header that gives a browser its session."""
    told = f"{COOKIE}={session}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict"
    return f"{told}; Secure" if secure else told


def with_headers(send: Send, extra: Mapping[str, str]) -> Send:
    """Sends answers on with what all of ours say; nothing is kept by caches unless a view says."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
            for name, value in extra.items():
                headers.append(name, value)
        await send(message)

    return sending
