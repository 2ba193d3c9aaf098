"""What `atelierd status` tells, with a service and without one."""

import json
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.job import Approval, Draft, Outputs, State
from daemon.ledger.store import Ledger
from daemon.messages import Done, FullPicture
from daemon.settings.config import Config
from daemon.settings.last_good import LastGood, write_last_good
from daemon.state import lock
from daemon.status.live import LIVE_FILE, Live, write_live
from daemon.status.report import MOST_TOLD, devices_text, gather, in_words
from daemon.status.show import status_text


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config().model_copy(update={"state": tmp_path})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "unknown"),
        (0.0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200.0, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500.0, "2 h 05 min"),
        (360_000.0, "100 h 00 min"),
    ],
)
def test_seconds_are_said_as_people_say_them(seconds: float | None, words: str) -> None:
    assert in_words(seconds) == words


def test_report_without_any_ledger_is_empty_and_makes_nothing(config: Config) -> None:
    report = gather(config)
    assert report["service"] == {"running": False, "pid": None, "started_at": None, "devices": []}
    assert set(report["jobs"].values()) == {0} and report["recent"] == []
    assert list(config.state.iterdir()) == []


def test_report_tells_what_ended_last(config: Config) -> None:
    ledger = Ledger(config.ledger_path)
    ledger.add_picture("p1", Path("photo.jpg"))
    ledger.admit(
        "p1",
        sha256="",
        size=1,
        width_px=1,
        height_px=1,
        drafts=[
            Draft("j1", "starry", Path("photo.jpg"), {}, (), "Broken."),
            Draft("j2", "starry", Path("photo.jpg"), {}, ()),
        ],
    )
    ledger.plan_outputs("j1", Outputs(reason="failed/starry/photo.jpg.reason.txt"))
    ledger.publish_job("j1")
    ledger.close()
    report = gather(config)
    assert report["jobs"] == {str(state): 0 for state in State} | {"failed": 1, "ready": 1}
    (row,) = report["recent"]
    assert (row["id"], row["state"], row["reason"]) == ("j1", "failed", "Broken.")
    assert row["output"] == "failed/starry/photo.jpg.reason.txt"


def test_oldest_proofs_that_wait_are_told_with_what_they_foretell_and_how_many_more(
    config: Config,
) -> None:
    ledger = Ledger(config.ledger_path)
    ledger.add_picture("p1", Path("proof/starry/photo.jpg"))
    asked = {"approval": Approval.ASKED}
    drafts = [Draft(f"j{n}", "starry", Path("a[b].jpg"), {}, (), **asked) for n in range(10)]
    ledger.admit("p1", sha256="", size=1, width_px=1, height_px=1, drafts=drafts)
    outcome = Done(full=FullPicture(4096, 3072, 7200))
    for draft in drafts:
        ledger.claim_job("me")
        ledger.finish_job(draft.id, "me", State.AWAITING, outcome=outcome)
        ledger.plan_outputs(draft.id, Outputs(record="r", result="proof/starry/a[b].jpg"))
        ledger.publish_job(draft.id)
    ledger.close()
    report = gather(config)
    assert report["jobs"]["awaiting"] == 10 and len(report["proofs"]) == 8
    row = report["proofs"][0]
    assert (row["id"], row["output"]) == ("j0", "proof/starry/a[b].jpg")
    assert row["full"] == {"width_px": 4096, "height_px": 3072, "seconds": 7200}
    text = status_text(report)
    assert "queue    10 awaiting" in text and "proofs   and 2 more wait for approval" in text
    assert "j0" in text and "4096x3072" in text and "2 h 00 min" in text
    assert "proof/starry/a[b].jpg" in text


def test_faulty_preset_is_told_while_a_service_uses_its_last_good_version(config: Config) -> None:
    since = "2026-01-01T00:00:00+00:00"
    kept = {
        "it": LastGood("it.yaml", {}, (), since, "it.yaml:1: is wrong"),
        "fine": LastGood("fine.yaml", {}, ()),
    }
    write_last_good(config.state, config.presets, kept)
    write_live(config.state, Live(42, "then"))
    assert gather(config)["health"] == {}
    held = lock.hold(config.state)
    told = gather(config)["health"]
    held.release()
    assert list(told) == ["preset it"]
    assert since in told["preset it"] and "last good version is used" in told["preset it"]


def test_live_file_counts_only_while_a_service_holds_the_state_folder(config: Config) -> None:
    write_live(config.state, Live(42, "then", devices=["cpu"], health={"outbox": "full"}))
    assert not gather(config)["service"]["running"]
    held = lock.hold(config.state)
    report = gather(config)
    held.release()
    assert report["service"] == {
        "running": True,
        "pid": 42,
        "started_at": "then",
        "devices": ["cpu"],
    }
    assert report["health"] == {"outbox": "full"}


def test_damaged_ledger_is_told_and_not_raised(config: Config) -> None:
    config.ledger_path.write_bytes(b"no database" * 100)
    assert "ledger" in gather(config)["health"]


def test_what_does_not_get_on_and_what_others_have_is_told_in_status(config: Config) -> None:
    wait = {"path": "a[1].jpg", "why": "is empty", "since": "2026-01-02T12:00:00Z", "mend": False}
    others = ["3 claimed by /srv/state on nas-box (running)"]
    live = Live(42, "then", devices=["cpu"], waits=[wait], waits_more=4, others=others, foreign=3)
    held = lock.hold(config.state)
    write_live(config.state, live)
    report = gather(config)
    held.release()
    assert (report["waits"], report["waits_more"], report["others"]) == ([wait], 4, others)
    text = status_text(report)
    assert "a[1].jpg is empty (since 2026-01-02T12:00:00Z)" in text
    assert "and 4 more" in text and others[0] in text
    assert report["foreign"] == 3
    assert "foreign  3 in the inbox that are no pictures stay there; atelierd doctor" in text


def test_jobs_that_ask_for_what_no_device_offers_are_told_with_how_many_and_for_what(
    config: Config,
) -> None:
    ledger = Ledger(config.ledger_path)
    ledger.add_picture("p1", Path("photo.jpg"))
    asked = ("desk9", "desk9", "cuda", "")
    drafts = [
        Draft(f"job-{number}-id", "starry", Path("photo.jpg"), {}, (), runs_on=name)
        for number, name in enumerate(asked)
    ]
    ledger.admit("p1", sha256="", size=1, width_px=1, height_px=1, drafts=drafts)
    ledger.close()
    held = lock.hold(config.state)
    write_live(config.state, Live(42, "then", devices=["a/cuda:0"], lacking=["desk9"]))
    report = gather(config)
    held.release()
    assert report["lacking"] == [{"runs_on": "desk9", "jobs": 2, "first": "job-0-id"}]
    told = "lacks    2 jobs wait for desk9, which no device offers now; the first is job-0-id"
    assert told in status_text(report)
    assert gather(config)["lacking"] == []  # without a service nobody knows


def test_devices_are_told_by_node_and_of_many_nodes_the_first() -> None:
    assert devices_text([]) == "no device"
    seats = ["cpu", "desk2/cuda:0", "desk1/cpu", "desk2/cuda:1"]
    assert devices_text(seats) == "cpu, desk2 (cuda:0, cuda:1), desk1 (cpu)"
    many = devices_text([f"desk{number}/cpu" for number in range(MOST_TOLD + 3)])
    assert many.endswith(f"desk{MOST_TOLD - 1} (cpu) and 3 more")


def test_live_file_of_an_older_version_has_no_waits(config: Config) -> None:
    held = lock.hold(config.state)
    write_live(config.state, Live(42, "then"))
    older = json.loads((config.state / LIVE_FILE).read_text())
    for key in ("waits", "waits_more", "others", "foreign", "lacking"):
        del older[key]
    (config.state / LIVE_FILE).write_text(json.dumps(older))
    report = gather(config)
    held.release()
    assert (report["waits"], report["waits_more"], report["others"]) == ([], 0, [])
    assert report["foreign"] == 0


def test_without_a_service_nobody_knows_how_many_files_are_no_pictures(config: Config) -> None:
    assert gather(config)["foreign"] is None
    assert "foreign" not in status_text(gather(config))


def test_live_file_that_cannot_be_understood_is_a_trouble_of_a_running_service(
    config: Config,
) -> None:
    held = lock.hold(config.state)
    (config.state / "live.json").write_text("[]")
    report = gather(config)
    held.release()
    assert report["service"]["running"]
    assert "live.json cannot be read" in report["health"]["live"]


def test_state_that_may_not_be_looked_into_is_not_taken_for_an_empty_one(
    config: Config, closed: Path
) -> None:
    with pytest.raises(SurroundingsError, match=f"{closed}: Permission denied; let user"):
        gather(config.model_copy(update={"state": closed}))


def test_file_in_the_place_of_the_state_folder_is_told(config: Config, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SurroundingsError, match="a file is where a folder should be"):
        gather(config.model_copy(update={"state": tmp_path / "file"}))
