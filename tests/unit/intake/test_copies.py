"""Copies that are gone from the state folder, with the claimed pictures there or not."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.intake.copies import Copies, lacking
from daemon.job import Draft, MaskRef, ProfileRef, State, StyleRef
from daemon.ledger.store import Ledger
from daemon.settings.config import Config
from daemon.state.claimed import claimed_folder
from daemon.state.spool import Spool

PHOTO = Path("wave/photo.jpg")


@pytest.fixture
def ledger(config: Config) -> Iterator[Ledger]:
    found = Ledger(config.ledger_path)
    yield found
    found.close()


@pytest.fixture
def copies(config: Config, ledger: Ledger) -> Copies:
    spool = Spool(config.state)
    return Copies(config, ledger, spool, lambda path: None, lambda path: None)


def claimed(copies: Copies, *jobs: str, style: str = "") -> Path:
    """A claimed picture with waiting jobs, and no copy of it; where it lies."""
    source = claimed_folder(copies.config.inbox, "p1") / PHOTO
    files.write_bytes(source, b"pixels")
    styles = (StyleRef("wave.png", style, 1.0),) if style else ()
    copies.ledger.add_picture("p1", PHOTO)
    copies.ledger.admit(
        "p1",
        sha256=hashlib.sha256(b"pixels").hexdigest(),
        size=6,
        width_px=4,
        height_px=3,
        drafts=[Draft(job, "wave", Path("photo.jpg"), {}, styles) for job in jobs],
    )
    return source


def test_copy_that_is_gone_is_made_again_from_the_claimed_picture(copies: Copies) -> None:
    claimed(copies, "j1")
    assert lacking(copies.ledger, copies.spool) == ["p1"]
    assert copies.restore() == []
    assert copies.spool.picture("p1").read_bytes() == b"pixels"
    assert lacking(copies.ledger, copies.spool) == []
    assert copies.ledger.counts()[State.READY] == 1


def test_picture_that_is_not_what_its_copy_was_goes_back_to_the_inbox(copies: Copies) -> None:
    claimed(copies, "j1").write_bytes(b"PIXELS and more")
    assert copies.restore() == []
    assert (copies.config.inbox / PHOTO).read_bytes() == b"PIXELS and more"
    assert not copies.spool.picture("p1").exists()
    assert copies.ledger.counts()[State.RETRIED] == 1


def test_picture_whose_style_image_is_gone_goes_back_to_be_drafted_anew(copies: Copies) -> None:
    claimed(copies, "j1", style="ab" * 32)
    files.write_bytes(copies.spool.picture("p1"), b"pixels")
    assert copies.restore() == []
    assert (copies.config.inbox / PHOTO).read_bytes() == b"pixels"
    assert copies.ledger.counts()[State.RETRIED] == 1


def test_what_was_painted_in_part_is_not_dropped_again(copies: Copies) -> None:
    source = claimed(copies, "j1", "j2")
    source.write_bytes(b"PIXELS and more")
    job = copies.ledger.claim_job("me")
    assert job is not None
    assert copies.restore() == [] and source.exists()
    copies.ledger.finish_job(job.id, "me", State.DONE)
    assert copies.restore() == [] and source.exists()
    assert copies.ledger.counts()[State.RETRIED] == 0


def test_copy_that_finds_no_room_is_made_later(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SurroundingsError("the disk is nearly full")

    claimed(copies, "j1")
    with monkeypatch.context() as short:
        short.setattr(files, "ensure_room", full)
        assert len(copies.restore()) == 1
    assert copies.restore() == [] and copies.spool.picture("p1").exists()


def test_picture_that_is_gone_from_both_is_left_to_its_job(copies: Copies) -> None:
    claimed(copies, "j1").unlink()
    assert copies.restore() == []
    assert copies.ledger.counts()[State.READY] == 1


def test_picture_whose_profile_is_gone_goes_back_to_the_inbox(copies: Copies) -> None:
    source = claimed_folder(copies.config.inbox, "p1") / PHOTO
    files.write_bytes(source, b"pixels")
    copies.ledger.add_picture("p1", PHOTO)
    draft = Draft(
        "j1", "wave", Path("photo.jpg"), {}, (), profiles=(ProfileRef("press.icc", "9c"),)
    )
    copies.ledger.admit("p1", sha256="ab", size=6, width_px=4, height_px=3, drafts=[draft])
    assert lacking(copies.ledger, copies.spool) == ["p1"]
    assert copies.restore() == []
    assert (copies.config.inbox / PHOTO).read_bytes() == b"pixels"
    assert copies.ledger.counts()[State.RETRIED] == 1


@pytest.mark.parametrize("same", [True, False])
def test_mask_beside_a_claimed_picture_is_copied_again_if_it_is_what_it_was(
    copies: Copies, same: bool
) -> None:
    folder, beside = claimed_folder(copies.config.inbox, "p1"), PHOTO.with_name("photo.mask.png")
    files.write_bytes(folder / PHOTO, b"pixels")
    files.write_bytes(folder / beside, b"colours" if same else b"others")
    copies.ledger.add_picture("p1", PHOTO, [beside])
    mask = MaskRef("photo.mask.png", hashlib.sha256(b"colours").hexdigest(), own=True)
    copies.ledger.admit(
        "p1",
        sha256=hashlib.sha256(b"pixels").hexdigest(),
        size=6,
        width_px=4,
        height_px=3,
        drafts=[Draft("j1", "wave", Path("photo.jpg"), {}, (), mask=mask)],
    )
    files.write_bytes(copies.spool.picture("p1"), b"pixels")
    assert lacking(copies.ledger, copies.spool) == ["p1"]
    assert copies.restore() == []
    if same:
        assert copies.spool.picture_mask("p1").read_bytes() == b"colours"
        assert copies.ledger.counts()[State.READY] == 1
    else:
        assert (copies.config.inbox / PHOTO).exists() and (copies.config.inbox / beside).exists()
        assert copies.ledger.counts()[State.RETRIED] == 1
