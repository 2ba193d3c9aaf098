"""What the doctor tells of the inbox's inside."""

from pathlib import Path

import pytest

from daemon.doctor.inbox import check_holdings, check_inbox, check_inner_mounts, check_waits
from daemon.intake.others import Life
from daemon.intake.owner import Owner, encode
from daemon.intake.strays import Holding
from daemon.job import Draft
from daemon.ledger.store import Ledger
from daemon.settings.config import Config
from daemon.state.claimed import owner_file

OWNER = Owner("nas-box", 7, "/srv/state", kernel="another", process="x")
MOUNT = "36 35 8:1 / {} rw - ext4 /dev/sdb1 rw\n"


def test_waits_are_named_and_those_that_need_a_person_are_faults() -> None:
    wait = {"path": "wave/a.jpg", "why": "may not be read", "since": "2026-01-02T12:00:00Z"}
    live = {"waits": [wait | {"mend": True}, wait | {"mend": False}], "waits_more": 3}
    found = list(check_waits(live))
    assert [one.ok for one in found] == [False, True, True]
    assert found[0].detail == "wave/a.jpg may not be read (since 2026-01-02T12:00:00Z)"
    assert found[2].detail == "and 3 more"
    assert list(check_waits({})) == []


@pytest.mark.parametrize("life", Life)
def test_claims_of_others_are_told_with_their_owner_and_are_no_fault(life: Life) -> None:
    (found,) = check_holdings([Holding("0badcafe", OWNER, life, 3)])
    assert found.ok and "3 claimed by /srv/state on nas-box" in found.detail
    assert ("takes them over" in found.detail) is (life is not Life.ALIVE)


def test_claims_that_are_our_own_are_not_told_of(config: Config) -> None:
    for picture_id in ("open", "stray"):
        (config.inbox / ".claimed" / picture_id).mkdir(parents=True)
    owner_file(config.inbox, "stray").write_bytes(encode(OWNER))
    config.state.mkdir()
    ledger = Ledger(config.ledger_path)
    ledger.add_picture("open", Path("photo.jpg"))
    ledger.admit(
        "open",
        sha256="",
        size=1,
        width_px=1,
        height_px=1,
        drafts=[Draft("j1", "wave", Path("photo.jpg"), {}, ())],
    )
    ledger.close()
    (found,) = check_inbox(config, "")
    assert found.what == "claims" and found.detail.startswith("1 claimed by /srv/state on nas-box")


def test_files_that_are_no_pictures_are_named_and_no_fault(config: Config) -> None:
    (config.inbox / "wave").mkdir(parents=True)
    for name in ("b.txt", "wave/IMG_1.MOV", "photo.jpg"):
        (config.inbox / name).write_bytes(b"no picture by its content")
    (config.inbox / "wave/logo.svg").write_bytes(b"<svg/>")
    (config.inbox / "wave/logo.svg.bak").write_bytes(b"<svg/>")
    (found,) = check_inbox(config, "")
    assert found.ok and found.what == "foreign"
    assert (
        found.detail
        == "no pictures, and left in the inbox: b.txt, wave/IMG_1.MOV, wave/logo.svg.bak"
    )


def test_very_many_files_that_are_no_pictures_are_counted(config: Config) -> None:
    config.inbox.mkdir()
    for number in range(100, 125):
        (config.inbox / f"{number}.txt").touch()
    (found,) = check_inbox(config, "")
    assert "100.txt" in found.detail and found.detail.endswith("119.txt and 5 more")


def test_mount_within_the_inbox_is_told_and_is_a_fault_if_nothing_can_leave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = "".join(MOUNT.format(tmp_path / name) for name in ("wave", "inside/#recycle"))
    mounts += MOUNT.format("/elsewhere")
    monkeypatch.setattr("os.access", lambda *_: True)
    (found,) = check_inner_mounts(tmp_path, mounts)
    assert found.ok and "wave is a mount of its own" in found.detail
    monkeypatch.setattr("os.access", lambda *_: False)
    (found,) = check_inner_mounts(tmp_path, mounts)
    assert not found.ok and "mount it writable" in found.detail


def test_inbox_that_is_not_there_has_nothing_inside(config: Config) -> None:
    assert list(check_inbox(config, "")) == []
