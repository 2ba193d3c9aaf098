"""What stands around every view: the tabs with their counts, and what was asked for and done."""

from datetime import tzinfo
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from daemon.errors import SurroundingsError
from daemon.job import State
from daemon.outbox.gallery.view import NavLink
from daemon.page.site import Site, site_of
from daemon.settings.windows import find_zone
from daemon.state.pause import paused_since

TABS = (
    ("Now", "/"),
    ("Queue", "/queue"),
    ("Drop", "/drop"),
    ("Try", "/try"),
    ("Proofs", "/proofs"),
    ("Presets", "/presets"),
    ("Done", "/done"),
    ("Failed", "/failed"),
)
COUNTED = {
    "Queue": (State.READY,),
    "Proofs": (State.AWAITING,),
    "Done": (State.DONE,),
    "Failed": (State.FAILED, State.CANCELLED),
}


def show(request: Request, template: str, tab: str, status: int = 200, **told: Any) -> HTMLResponse:
    """A view as HTML; only its changing part where the script asks for that.

    tab: the one it belongs to, empty for none.
    """
    site = site_of(request)
    is_part = "part" in request.query_params
    shown = {
        "assets": "/static",
        "home": "/",
        "token": request.scope.get("token", ""),
        "locked": site.sessions.locked,
        "part": is_part,
        "nav": tabs(site, tab),
        "nav_script": "",
        "paused": paused_since(site.config.state),
        "seen": site.watcher.seen,
        "said": site.answers.take(request.query_params.get("said", "")),
        "here": here(request),
        "hanging": site.hanging(),
    }
    html = site.pages.get_template(template).render(shown | told)
    return HTMLResponse(html, status)


def tabs(site: Site, current: str) -> list[NavLink]:
    """The tabs, with how many each has to show."""
    try:
        with site.ledger() as ledger:
            counts = ledger.counts()
    except SurroundingsError:
        counts = {}
    found = []
    for title, url in TABS:
        count = sum(counts.get(state, 0) for state in COUNTED.get(title, ())) or None
        kind = "bad" if count and title == "Failed" else ""
        found.append(NavLink(title, url, current=title == current, count=count, kind=kind))
    return found


def here(request: Request) -> str:
    """The address of this view, without what only the script asks for."""
    query = [
        (key, value)
        for key, value in request.query_params.multi_items()
        if key not in ("part", "said")
    ]
    url = request.url.remove_query_params(["part", "said"])
    return f"{url.path}?{url.query}" if query else url.path


def zone_of(site: Site) -> tzinfo:
    """The time zone that clock times are told in."""
    return find_zone(site.config.schedule.time_zone)
