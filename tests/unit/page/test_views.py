"""What the views show, and what is asked of them is done the way the commands do it."""

import contextlib
import shutil

import pytest

from daemon.job import State
from daemon.ledger.store import Ledger
from daemon.page.scaling import Scaler
from daemon.page.site import NoLedgerError
from daemon.state import lock
from daemon.status.live import Live, write_live
from tests.support.atelier import encoded, photograph
from tests.unit.page.conftest import Desk

VIEWS = ("/", "/queue", "/drop", "/try", "/proofs", "/presets", "/done", "/failed")


def order(desk: Desk) -> list[str]:
    """The waiting jobs in the order in which they would be painted."""
    with contextlib.closing(Ledger(desk.config.ledger_path)) as ledger:
        return [job.id for job in ledger.views.line(100, 0)]


def test_every_view_is_there_before_any_service_has_run(desk: Desk) -> None:
    for view in VIEWS:
        assert desk.client.get(view).status_code == 200, view
    assert not desk.config.ledger_path.exists()


def test_ledger_of_another_version_is_told_and_left_alone(desk: Desk) -> None:
    desk.add()
    with contextlib.closing(Ledger(desk.config.ledger_path)) as ledger:
        ledger.database.connection.execute("PRAGMA user_version = 1")
    for view in VIEWS:
        assert desk.client.get(view).status_code == 200, view
    assert "another version" in desk.client.get("/done").text
    with contextlib.suppress(NoLedgerError), desk.site.ledger():
        raise AssertionError("it was opened")


def test_job_that_asks_for_what_no_device_offers_says_so_in_its_row_and_holds_up_no_other(
    desk: Desk,
) -> None:
    desk.add("a.jpg", runs_on="desk9")
    desk.add("b.jpg", runs_on="cuda")
    held = lock.hold(desk.config.state)
    live = Live(42, "2026-01-01T00:00:00Z", devices=["d/cuda:0"], lacking=["desk9"])
    write_live(desk.config.state, live)
    queue, now = desk.client.get("/queue").text, desk.client.get("/").text
    held.release()
    told = "1 job waits for desk9, which no device offers now"
    assert told in queue and told in now and "painting on d (cuda:0)" in now
    assert "· on cuda" in queue and "no device offers desk9 now" in queue
    assert "no device offers cuda" not in queue


def test_service_without_any_device_says_that_it_waits_for_a_node(desk: Desk) -> None:
    held = lock.hold(desk.config.state)
    write_live(desk.config.state, Live(42, "2026-01-01T00:00:00Z"))
    html = desk.client.get("/").text
    held.release()
    assert "It waits for a node: none is connected." in html


def test_queue_is_shown_in_its_order_and_jobs_move_in_it(desk: Desk) -> None:
    first, second, third = (desk.add(f"{name}.jpg") for name in "abc")
    html = desk.client.get("/queue").text
    assert html.index("a.jpg") < html.index("b.jpg") < html.index("c.jpg")
    assert desk.post(f"/job/{third}/do/first").json()["faults"] == []
    assert order(desk) == [third, first, second]
    form = {"before": "", "csrf": desk.token()}
    headers = {"Origin": "http://127.0.0.1:8470", "Accept": "application/json"}
    desk.client.post(f"/job/{third}/do/move", data=form, headers=headers)
    assert order(desk) == [first, second, third]
    desk.client.post(f"/job/{third}/do/move", data=form | {"before": second}, headers=headers)
    assert order(desk) == [first, third, second]


def test_what_is_asked_of_a_job_is_asked_of_the_ledger(desk: Desk) -> None:
    job = desk.add("a.jpg")
    assert desk.post(f"/job/{job}/do/cancel").status_code == 200
    with contextlib.closing(Ledger(desk.config.ledger_path)) as ledger:
        assert ledger.job(job).cancel_requested
    assert "is being cancelled" in desk.client.get("/queue").text
    refused = desk.post(f"/job/{job}/do/retry")
    assert refused.status_code == 409 and "only failed or cancelled" in refused.text
    assert desk.post(f"/job/{job}/do/delete").status_code == 404
    assert desk.post("/failed/retry").json()["done"] == ["there is no failed job"]


def test_painting_is_paused_and_goes_on(desk: Desk) -> None:
    desk.post("/pause")
    assert (desk.config.state / "paused").exists()
    assert "Go on painting" in desk.client.get("/queue").text
    desk.post("/resume")
    assert not (desk.config.state / "paused").exists()


def test_browser_without_script_is_sent_back_and_told_once(desk: Desk) -> None:
    form = {"csrf": desk.token(), "back": "/queue"}
    answer = desk.client.post("/pause", data=form, headers={"Origin": "http://127.0.0.1:8470"})
    assert answer.status_code == 303
    assert "painting is paused" in desk.client.get(answer.headers["location"]).text
    assert "painting is paused" not in desk.client.get(answer.headers["location"]).text
    for back in ("http://evil.example", "//evil.example", "/\\evil.example", "javascript:1"):
        form = {"csrf": desk.token(), "back": back}
        answer = desk.client.post("/pause", data=form, headers={"Origin": "http://127.0.0.1:8470"})
        assert answer.headers["location"].startswith("/?said=")


def test_failed_picture_is_shown_with_its_reason(desk: Desk) -> None:
    desk.end(desk.add("x.jpg"), State.FAILED, reason="x.jpg has a damaged header; export it again")
    html = desk.client.get("/failed").text
    assert "x.jpg has a damaged header; export it again" in html
    assert "none of them lost" in html


def test_long_lists_come_in_pages_and_odd_numbers_lead_to_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.page.line.PAGE", 3)
    for number in range(5):
        desk.add(f"{number:03}.jpg")
    first = desk.client.get("/queue").text
    assert "000.jpg" in first and "003.jpg" not in first and "Page 1 of 2" in first
    assert "004.jpg" in desk.client.get("/queue?page=2").text
    for page in ("99", "0", "-1", "x", "9" * 30, "²"):
        assert desk.client.get(f"/queue?page={page}").status_code == 200


def test_pictures_of_a_job_are_shown_small_and_in_tiles(desk: Desk) -> None:
    job = desk.add("cat.jpg")
    desk.end(job, original="originals/cat.jpg")
    for folder in ("quick", "originals"):
        (desk.config.outbox / folder).mkdir()
        picture = encoded(photograph((700, 500)), "PNG" if folder == "quick" else "JPEG")
        (desk.config.outbox / folder / "cat.jpg").write_bytes(picture)
    for what in ("small/photograph", "small/painting", "view/painting", "tile/painting/0/1/0"):
        answer = desk.client.get(f"/job/{job}/{what}")
        assert answer.headers["content-type"] == "image/jpeg", what
    etag = answer.headers["etag"]
    same = desk.client.get(f"/job/{job}/{what}", headers={"If-None-Match": etag})
    assert same.status_code == 304 and same.content == b""
    for what in ("tile/painting/0/9/9", "tile/painting/99/0/0", "huge/painting", "small/nothing"):
        assert desk.client.get(f"/job/{job}/{what}").status_code in (404, 422), what
    original = desk.client.get(f"/job/{job}/original")
    assert original.headers["content-disposition"].startswith("attachment")


def test_small_version_of_the_gallery_is_taken_as_it_is(desk: Desk) -> None:
    from daemon.outbox.gallery.places import thumbnail

    job = desk.add("cat.jpg")
    desk.end(job)
    place = desk.config.outbox / thumbnail(job)
    place.parent.mkdir(parents=True)
    place.write_bytes(encoded(photograph((40, 30))))
    answer = desk.client.get(f"/job/{job}/small/painting")
    assert answer.content == place.read_bytes()


def test_outbox_that_is_away_is_told_and_keeps_no_view_away(desk: Desk) -> None:
    job = desk.add("cat.jpg")
    desk.end(job)
    shutil.rmtree(desk.config.outbox)
    for view in (*VIEWS, f"/job/{job}", f"/job/{job}/zoom"):
        assert desk.client.get(view).status_code == 200, view
    assert desk.client.get(f"/job/{job}/result").status_code == 404


def test_small_pictures_take_no_more_room_than_they_may(desk: Desk) -> None:
    folder = desk.config.state / "cache"
    source = desk.config.inbox / "a.jpg"
    source.write_bytes(encoded(photograph((200, 100))))
    scaler = Scaler(folder, max_pixels=10**6, timeout_s=60, keep_bytes=0, most_bytes=0)
    scaler.small(source, "first", 50)
    scaler._made = 10**6  # as after many
    kept = scaler.small(source, "second", 50)
    assert list(folder.rglob("*.jpg")) == [kept]
    scaler.close()


def test_child_that_nobody_needs_is_ended(desk: Desk) -> None:
    now_s = [0.0]
    source = desk.config.inbox / "a.jpg"
    source.write_bytes(encoded(photograph((200, 100))))
    scaler = Scaler(
        desk.config.state / "cache",
        max_pixels=10**6,
        timeout_s=60,
        keep_bytes=0,
        clock=lambda: now_s[0],
    )
    scaler.small(source, "first", 50)
    scaler.rest()
    assert scaler._child is not None
    now_s[0] = 61.0
    scaler.rest()
    assert scaler._child is None


def test_way_in_gives_a_session_that_browsers_keep_to_themselves(locked: Desk) -> None:
    from tests.unit.page.conftest import HOST, SECRET

    form = {"password": SECRET}
    answer = locked.client.post("/login", data=form, headers={"Origin": HOST})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert locked.client.get("/queue").status_code == 200
    assert locked.post("/logout").status_code == 303
    assert locked.client.get("/queue").status_code == 401


def test_program_needs_no_session_where_it_sends_the_secret(locked: Desk) -> None:
    from tests.unit.page.conftest import SECRET

    sent = {"Authorization": f"Bearer {SECRET}"}
    answer = locked.client.post(
        "/drop?name=cat.jpg&preset=quick", content=encoded(photograph()), headers=sent
    )
    assert answer.status_code == 200, answer.text
    evil = sent | {"Origin": "http://evil.example"}
    assert locked.client.post("/pause", headers=evil).status_code == 403
