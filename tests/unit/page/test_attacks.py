"""What is tried against a page that others can reach, and is refused."""

import asyncio
import hmac
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.exceptions import HTTPException

from daemon.host import files
from daemon.job import State
from daemon.page import uploads
from daemon.page.uploads import UploadLimits, next_piece, take
from tests.support.atelier import encoded, photograph
from tests.unit.page.conftest import HOST, SECRET, Desk

HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def in_inbox(desk: Desk) -> list[str]:
    return sorted(path.name for path in desk.config.inbox.rglob("*") if path.is_file())


def dropped(desk: Desk, name: str, content: bytes, query: str = "preset=quick") -> Any:
    return desk.post(f"/drop?name={name}&{query}", content)


def test_name_that_is_not_ours_is_answered_with_nothing(desk: Desk) -> None:
    paths = ("/", "/static/page.js", "/login", "/news")
    hosts = ("evil.example", "127.0.0.1.evil.example", "evil.example:8470", "", "127.0.0.1@evil")
    for path, host in itertools.product(paths, hosts):
        answer = desk.client.get(path, headers={"Host": host})
        assert answer.status_code == 421 and "set-cookie" not in answer.headers


def test_every_name_that_is_ours_is_answered(locked: Desk) -> None:
    for host in ("localhost:1", "127.0.0.1", "[::1]:8470", "Studio.Example"):
        assert locked.client.get("/login", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8471"},
        {"Origin": HOST, "Sec-Fetch-Site": "same-site"},
        {"Origin": HOST, "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_change_that_another_site_asks_for_is_refused(desk: Desk, headers: dict[str, str]) -> None:
    assert desk.post("/pause", **headers).status_code == 403
    assert not (desk.config.state / "paused").exists()


def test_change_of_which_no_origin_is_known_is_refused(desk: Desk) -> None:
    answer = desk.client.post("/pause", headers={"X-CSRF-Token": desk.token()})
    assert answer.status_code == 403


@pytest.mark.parametrize("token", ["", "wrong", "é", "0" * 43])
def test_change_without_the_token_of_its_session_is_refused(desk: Desk, token: str) -> None:
    desk.token()
    headers = {"Origin": HOST.encode(), "X-CSRF-Token": token.encode()}
    assert desk.client.post("/pause", headers=headers).status_code == 403
    form = {"csrf": token}
    assert desk.client.post("/pause", data=form, headers={"Origin": HOST}).status_code == 403
    assert not (desk.config.state / "paused").exists()


def test_token_of_another_session_is_none(desk: Desk) -> None:
    token = desk.token()
    desk.client.cookies.clear()
    assert desk.token() != token
    assert desk.post("/pause", **{"X-CSRF-Token": token}).status_code == 403


def test_change_is_no_matter_of_looking(desk: Desk) -> None:
    assert desk.client.get("/pause").status_code == 405
    assert desk.client.put("/pause").status_code == 405


def test_path_in_the_place_of_a_job_leads_nowhere(desk: Desk) -> None:
    desk.add()
    jobs = ("..%2F..%2Fetc%2Fpasswd", "%2e%2e", "..%5cx", "0001", "a/../b", "%00", "*", "%25")
    files_of_it = ("original", "result", "small/photograph", "beside/log", "preview")
    for job, what in itertools.product(jobs, files_of_it):
        assert desk.client.get(f"/job/{job}/{what}").status_code == 404


def test_only_files_that_are_meant_lie_beside_a_result(desk: Desk) -> None:
    job = desk.add()
    desk.end(job)
    for kind in ("original", "reason", "by_kind", "__class__", "..%2flog"):
        assert desk.client.get(f"/job/{job}/beside/{kind}").status_code == 404


def test_nothing_but_styles_and_scripts_is_served_as_such(desk: Desk) -> None:
    for name in ("..%2Fpage.js", "page.js.map", "../site.py", "base.html", ""):
        assert desk.client.get(f"/static/{name}").status_code == 404


def test_names_are_text_wherever_they_are_shown(desk: Desk) -> None:
    name = "<img src=x onerror=alert(1)>\"'&\n\x1b[31m\udcff😀.jpg"
    desk.end(desk.add(name))
    desk.end(desk.add(name), State.FAILED, reason=files.printable(name))
    desk.add(name)
    for path in ("/", "/queue", "/done", "/failed", "/try/0123456789ab"):
        html = desk.client.get(path).text
        assert "<img src=x" not in html and "\x1b" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;\\n" in desk.client.get("/queue").text


def test_upload_under_a_name_that_leads_elsewhere_is_refused(desk: Desk) -> None:
    paths = ("..%2Fx.jpg", "..%5Cx.jpg", "%2Fetc%2Fx.jpg", "..", ".", "", "a%0Ab.jpg", "a%00.jpg")
    others = (".hidden.jpg", "x.jpg.part", "x.txt", "x.svg", "x" * 300 + ".jpg")
    for name in (*paths, *others):
        answer = dropped(desk, name, encoded(photograph()))
        assert answer.status_code == 422, answer.text
    assert in_inbox(desk) == []


def test_upload_for_a_folder_that_is_no_preset_is_refused(desk: Desk) -> None:
    for folder in ("..", "..%2F..", "originals", ".claimed", "quick%2F..", "all"):
        answer = dropped(desk, "x.jpg", encoded(photograph()), f"preset={folder}")
        assert answer.status_code == 422 and in_inbox(desk) == []


def test_upload_larger_than_the_limit_is_refused_before_it_is_read(desk: Desk) -> None:
    desk.site.uploads.bytes = 1000
    answer = dropped(desk, "x.jpg", encoded(photograph()))
    assert answer.status_code == 413 and "picture_bytes" in answer.text
    assert in_inbox(desk) == []


def test_upload_that_does_not_tell_its_size_is_counted(desk: Desk) -> None:
    desk.site.uploads.bytes = 1000

    def pieces() -> Any:
        yield from (b"\xff\xd8\xff\xe0" + b"x" * 600 for _ in range(3))

    assert desk.post("/drop?name=x.jpg&preset=quick", pieces()).status_code == 413
    assert in_inbox(desk) == [] and not list((desk.config.state / "page/uploads").iterdir())


def test_what_is_no_picture_never_gets_near_the_inbox(desk: Desk) -> None:
    for content in (HTML, SVG, b"", b"%PDF-1.7 ", b"MZ\x90\0", b"hello"):
        answer = dropped(desk, "x.jpg", content)
        assert answer.status_code == 422 and "x.jpg" in answer.text
    assert in_inbox(desk) == [] and not list((desk.config.state / "page/uploads").iterdir())


class Slow:
    """A request whose body comes in pieces, each after so many seconds of the clock."""

    def __init__(self, piece: bytes, every_s: float) -> None:
        self.now_s = 0.0
        self._piece, self._every_s = piece, every_s

    def clock(self) -> float:
        return self.now_s

    async def stream(self) -> AsyncIterator[bytes]:
        while True:
            self.now_s += self._every_s
            yield self._piece


def test_upload_that_trickles_is_ended(tmp_path: Path) -> None:
    slow = Slow(b"\xff\xd8\xff\xe0" + bytes(1000), 1.0)
    limits = UploadLimits(1 << 30, 0, slow.clock)
    with (tmp_path / "upload").open("wb") as file, pytest.raises(HTTPException) as refused:
        asyncio.run(take(slow, file, limits, "x.jpg"))  # type: ignore[arg-type]
    assert refused.value.status_code == 408
    assert slow.now_s < 2 * uploads.SLOW_AFTER_S


def test_upload_that_stops_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PIECE_S", 0.0)

    async def never() -> AsyncIterator[bytes]:
        await anyio.sleep_forever()
        yield b""

    with pytest.raises(HTTPException) as refused:
        asyncio.run(next_piece(never()))
    assert refused.value.status_code == 408


def test_uploads_are_bounded_in_number_and_rate() -> None:
    limits = UploadLimits(1 << 30, 0, lambda: 0.0)

    async def count(at_once: int) -> int:
        from contextlib import AsyncExitStack

        async with AsyncExitStack() as opened:
            for number in range(at_once):
                try:
                    await opened.enter_async_context(limits.one())
                except HTTPException as error:
                    assert error.status_code in (429, 503)
                    return number
        return at_once

    assert asyncio.run(count(uploads.AT_ONCE + 1)) == uploads.AT_ONCE
    rounds = [asyncio.run(count(1)) for _ in range(uploads.MOST_A_MINUTE)]
    assert sum(rounds) == uploads.MOST_A_MINUTE - uploads.AT_ONCE


def test_picture_that_would_be_a_page_is_only_saved(desk: Desk) -> None:
    job = desk.add("x.svg")
    desk.end(job, original="originals/x.svg")
    for folder, name in (("quick", "x.svg"), ("originals", "x.svg")):
        (desk.config.outbox / folder).mkdir(exist_ok=True)
        (desk.config.outbox / folder / name).write_bytes(SVG)
    for what in ("result", "original"):
        answer = desk.client.get(f"/job/{job}/{what}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_who_has_shown_no_secret_sees_nothing(locked: Desk) -> None:
    job = locked.add("secret-name.jpg")
    for path in ("/", "/queue", "/done", "/news", "/token", f"/job/{job}/original", "/nowhere"):
        answer = locked.client.get(path)
        assert answer.status_code == 401 and "secret-name" not in answer.text
    shown = locked.client.get("/queue", headers={"Accept": "text/html"})
    assert (shown.status_code, shown.headers["location"]) == (303, "/login")
    html = locked.client.get("/login").text
    assert "password" in html and "Queue" not in html
    assert locked.client.post("/pause", headers={"Origin": HOST}).status_code == 401


@pytest.mark.parametrize("secret", ["", "wrong", SECRET[:-1], SECRET + "x", "é"])
def test_wrong_secret_lets_nobody_in(locked: Desk, secret: str) -> None:
    answer = locked.client.post("/login", data={"password": secret}, headers={"Origin": HOST})
    assert answer.status_code == 401 and "set-cookie" not in answer.headers
    sent = {"Authorization": b"Bearer " + secret.encode()}
    assert locked.client.get("/queue", headers=sent).status_code == 401


def test_secret_cannot_be_tried_again_and_again(locked: Desk) -> None:
    def attempt(secret: str) -> int:
        form = {"password": secret}
        return int(locked.client.post("/login", data=form, headers={"Origin": HOST}).status_code)

    codes = [attempt("wrong") for _ in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert attempt(SECRET) == 429


def test_secrets_are_compared_in_the_same_time_wherever_they_differ(
    locked: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        seen.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    for secret in ("", SECRET[:1], SECRET[:-1] + "x", SECRET * 50):
        assert not locked.site.sessions.knows(secret)
    assert seen == [(32, 32)] * 4


def test_session_of_another_secret_or_key_is_none(locked: Desk) -> None:
    from daemon.page.sessions import SESSION_S, Sessions

    key = b"k" * 32
    session = Sessions(key, {"password_file": SECRET}).begin()
    assert Sessions(key, {"password_file": SECRET}).holds(session)
    assert not Sessions(key, {"password_file": SECRET + "x"}).holds(session)
    assert not Sessions(b"l" * 32, {"password_file": SECRET}).holds(session)
    late = Sessions(key, {"password_file": SECRET}, lambda: 1e10 + SESSION_S)
    assert not late.holds(session)
    for forged in ("", "x", session[:-1], f"9{session}", "1.2.3", session.replace(".", "", 1)):
        assert not Sessions(key, {"password_file": SECRET}).holds(forged)


def test_answers_forbid_browsers_what_they_need_not_do(desk: Desk) -> None:
    desk.end(desk.add())
    for path in ("/", "/done", "/static/page.js", "/nowhere", "/job/x/original"):
        headers = desk.client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_no_view_has_a_script_or_style_within(desk: Desk) -> None:
    desk.end(desk.add())
    desk.add()
    for path in ("/", "/queue", "/drop", "/try", "/proofs", "/presets", "/done", "/failed"):
        html = desk.client.get(path).text
        assert "<style" not in html and " style=" not in html and " on" + "click=" not in html
        assert html.count("<script") == html.count('<script src="/static/')
        assert "http://" not in html.replace(files.printable(desk.config.inbox), "")
