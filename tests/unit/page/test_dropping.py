"""What is dropped on the page lands in the inbox like any file, with its wishes beside it."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.host import files
from daemon.page.drop import uploads_folder
from daemon.page.dropping import DropWish, plan_landing
from daemon.state.spool import Spool
from tests.support.atelier import encoded, photograph
from tests.unit.page.conftest import HOST, Desk

PHOTO = encoded(photograph())
LAST_PID = (1 << 22) + 1
"""Of no process: the kernel's are smaller."""


def drop(desk: Desk, query: str) -> Any:
    return desk.post(f"/drop?{query}", PHOTO)


def lies(desk: Desk) -> dict[str, bytes]:
    inbox = desk.config.inbox
    paths = [path for path in inbox.rglob("*") if path.is_file()]
    return {str(path.relative_to(inbox)): path.read_bytes() for path in paths}


def test_picture_lies_in_its_presets_folder_whole_and_alone(desk: Desk) -> None:
    answer = drop(desk, "name=cat.jpg&preset=quick")
    assert answer.status_code == 200 and answer.json()["name"] == "cat.jpg"
    assert lies(desk) == {"quick/cat.jpg": PHOTO}
    assert not list((desk.config.state / "page" / "uploads").iterdir())


def test_several_presets_and_settings_are_told_by_a_sidecar(desk: Desk) -> None:
    drop(desk, "name=cat.jpg&preset=quick&preset=slow&size=256&beta=12,5")
    found = lies(desk)
    assert set(found) == {"cat.jpg", "cat.jpg.yaml"}
    told = yaml.safe_load(found["cat.jpg.yaml"])
    assert told == {"presets": ["quick", "slow"], "size": 256, "beta": 12.5}


def test_queue_that_is_chosen_is_a_folder(desk: Desk) -> None:
    drop(desk, "name=a.jpg&preset=quick&queue=bulk")
    drop(desk, "name=b.jpg&preset=quick&queue=proof")
    drop(desk, "name=c.jpg&preset=quick&preset=slow&queue=proof")
    found = lies(desk)
    assert {"bulk/quick/a.jpg", "proof/quick/b.jpg", "c.jpg"} <= set(found)
    assert yaml.safe_load(found["c.jpg.yaml"])["approve"] is True


def test_name_that_is_taken_gets_a_mark_and_nothing_is_overwritten(desk: Desk) -> None:
    (desk.config.inbox / "quick").mkdir()
    (desk.config.inbox / "quick" / "cat.jpg").write_bytes(b"somebody's")
    name = drop(desk, "name=cat.jpg&preset=quick&beta=3").json()["name"]
    found = lies(desk)
    assert found["quick/cat.jpg"] == b"somebody's" and found[f"quick/{name}"] == PHOTO
    assert set(found) == {"quick/cat.jpg", f"quick/{name}", f"quick/{name}.yaml"}


def test_field_that_a_preset_would_refuse_is_refused_at_once(desk: Desk) -> None:
    for query in ("size=12", "size=big", "beta=-1", "beta=nan", "beta=x", "beta=" + "9" * 400):
        answer = drop(desk, f"name=cat.jpg&preset=quick&{query}")
        assert answer.status_code == 422, query
        assert query.partition("=")[0] in answer.text
    assert lies(desk) == {}


def test_inbox_that_is_away_takes_nothing_and_says_so(desk: Desk) -> None:
    shutil.rmtree(desk.config.inbox)
    answer = drop(desk, "name=cat.jpg&preset=quick")
    assert answer.status_code == 503 and "inbox" in answer.text
    assert not desk.config.inbox.exists()
    assert not list((desk.config.state / "page" / "uploads").iterdir())


def test_trial_paints_every_preset_small_or_a_sweep(desk: Desk) -> None:
    answer = desk.post("/try?name=cat.jpg&what=every", PHOTO)
    mark = Path(answer.json()["next"]).name
    found = lies(desk)
    assert set(found) == {f"all/cat-try-{mark}.jpg", f"all/cat-try-{mark}.jpg.yaml"}
    assert yaml.safe_load(found[f"all/cat-try-{mark}.jpg.yaml"]) == {"size": 256, "approve": False}
    query = "what=sweep&sweep_preset=quick&field1=beta&values1=10,30&field2=colors&values2=style"
    mark = Path(desk.post(f"/try?name=cat.jpg&{query}", PHOTO).json()["next"]).name
    told = yaml.safe_load(lies(desk)[f"quick/cat-try-{mark}.jpg.yaml"])
    assert told["sweep"] == {"beta": [10, 30], "colors": ["style"]}


def test_sweep_of_what_cannot_be_swept_is_refused(desk: Desk) -> None:
    for field in ("field1=beta&values1=loud", "field1=nothing&values1=1", "field1=beta&values1="):
        query = f"what=sweep&sweep_preset=quick&{field}"
        assert desk.post(f"/try?name=cat.jpg&{query}", PHOTO).status_code == 422, field
    assert lies(desk) == {}


def test_sidecar_of_any_wish_is_what_intake_understands(desk: Desk) -> None:
    from daemon.intake.preset_choice import read_sidecar

    shelf = desk.site.shelves.read()
    wishes = (
        DropWish("a.jpg", ("quick",), fields={"size": 64}),
        DropWish("a.jpg", ("quick", "slow"), proof=True, bulk=True),
        DropWish("a.jpg", every=True, fields={"size": 256}),
    )
    for wish in wishes:
        landing = plan_landing(wish, desk.config, shelf)
        assert landing.sidecar is not None
        read_sidecar(landing.sidecar, "a.jpg.yaml")


def test_new_preset_is_made_only_where_that_is_allowed(desk: Desk, make_desk: Any) -> None:
    assert desk.post("/presets?preset=mine&name=it.jpg", PHOTO).status_code == 403
    allowed = make_desk(presets=True)
    assert allowed.post("/presets?preset=mine&name=it.JPG", PHOTO).status_code == 200
    assert (desk.config.presets / "mine.jpg").read_bytes() == PHOTO
    for name in ("mine", "MINE", "../x", "", "originals", "proof", ".x", "a b", "index.html"):
        answer = allowed.post(f"/presets?preset={name}&name=it.jpg", PHOTO)
        assert answer.status_code == 422, name
    names = {path.name for path in desk.config.presets.iterdir()}
    assert names == {"quick.png", "slow.png", "mine.jpg"}


def test_half_sent_file_goes_at_the_services_next_start(desk: Desk) -> None:
    folder = uploads_folder(desk.site)
    folder.mkdir(parents=True)
    name = files.temporary_beside(folder / "upload").name
    gone = folder / name.replace(f"-{os.getpid()}-", f"-{LAST_PID}-")
    gone.write_bytes(PHOTO[:100])
    Spool(desk.config.state).sweep((), ())
    assert not gone.exists()


def test_upload_has_the_rights_of_a_dropped_file(desk: Desk) -> None:
    drop(desk, "name=cat.jpg&preset=quick")
    mode = (desk.config.inbox / "quick" / "cat.jpg").stat().st_mode & 0o777
    plain = desk.config.inbox / "plain"
    files.write_bytes(plain, b"")
    assert mode == plain.stat().st_mode & 0o777


class BrokenOff:
    """A browser that sends so many bytes of a picture, in pieces, and then goes away."""

    def __init__(self, desk: Desk, address: str, sent: int) -> None:
        token = desk.token()
        cookies = "; ".join(f"{name}={value}" for name, value in desk.client.cookies.items())
        headers = {
            "host": "127.0.0.1:8470",
            "origin": HOST,
            "x-csrf-token": token,
            "cookie": cookies,
            "content-length": str(len(PHOTO)),
        }
        path, _, query = address.partition("?")
        self._app = desk.client.app
        self._scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        }
        pieces = [PHOTO[at : min(at + 500, sent)] for at in range(0, sent, 500)]
        told = [{"type": "http.request", "body": one, "more_body": True} for one in pieces]
        self._messages = iter([*told, {"type": "http.disconnect"}])
        self.answers: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        return next(self._messages)

    async def send(self, message: Any) -> None:
        self.answers.append(message)

    def go(self) -> None:
        asyncio.run(self._app(self._scope, self.receive, self.send))


@pytest.mark.parametrize("sent", [0, 1, 700, len(PHOTO) - 1])
@pytest.mark.parametrize("address", ["/drop?name=cat.jpg&preset=quick&beta=3", "/try?name=cat.jpg"])
def test_upload_that_its_browser_breaks_off_leaves_nothing(
    desk: Desk, address: str, sent: int
) -> None:
    upload = BrokenOff(desk, address, sent)
    upload.go()
    assert upload.answers[0]["status"] == 400
    assert lies(desk) == {}
    assert not list((desk.config.state / "page" / "uploads").iterdir())
    assert desk.site.uploads._running == 0
    assert drop(desk, "name=cat.jpg&preset=quick").status_code == 200


def test_style_image_whose_upload_breaks_off_makes_no_preset(make_desk: Any) -> None:
    desk = make_desk(presets=True)
    there = sorted(desk.config.presets.iterdir())
    upload = BrokenOff(desk, "/presets?preset=mine&name=it.jpg", 700)
    upload.go()
    assert upload.answers[0]["status"] == 400
    assert sorted(desk.config.presets.iterdir()) == there
    assert not list((desk.config.state / "page" / "uploads").iterdir())
