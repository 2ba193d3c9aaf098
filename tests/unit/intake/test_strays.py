"""Claims that nobody's ledger knows, or somebody else's: dropped again once, painted once."""

import dataclasses
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.intake import claim, strays
from daemon.intake.others import Others
from daemon.intake.owner import SILENCE_S, Owner, Ownership, encode
from daemon.intake.strays import HURRIED_LOOK_S, LOOK_S, Strays, is_anothers, take_over
from daemon.job import Draft, PictureState, State
from daemon.ledger.store import Ledger
from daemon.settings.config import Config
from daemon.state.claimed import claimed_folder, claims, owner_file, tombstone, tombstones
from daemon.state.spool import Spool

PHOTO = Path("wave/photo.jpg")
FOREIGN = "0badcafe" + "0" * 24
DEAD = Owner("old-box", 7, "/old/state", kernel="this", process="this:dead", beat=3)


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


class House:
    """A service's state, and its look at the shared inbox."""

    def __init__(self, config: Config, name: str) -> None:
        self.config, self.name = config, name
        self.spool = Spool(config.state)
        self.ledger = Ledger(config.ledger_path)
        self.start()

    def start(self) -> None:
        """The service begins anew: another process, which has seen nothing yet."""
        me = dataclasses.replace(DEAD, host=self.name, process=f"this:{self.name}")
        self.ownership = Ownership(self.config.inbox, self.spool, clock=float, me=lambda _: me)
        others = Others(self.config.inbox, lambda _: False, lambda: "this")
        self.strays = Strays(self.config.inbox, self.ledger, self.spool, self.ownership, others)

    def claimed(self, *drafts: Draft, content: bytes = b"pixels") -> str:
        """A picture of this service's own, with its jobs."""
        self.strays.check(0.0)
        picture_id = self.strays.mark + f"{len(self.ledger.open_pictures()):024d}"
        self.ledger.add_picture(picture_id, PHOTO)
        lay(self.config.inbox, picture_id, content)
        self.ledger.admit(
            picture_id,
            sha256="ab",
            size=6,
            width_px=4,
            height_px=3,
            drafts=drafts or [draft(f"job-{picture_id}")],
        )
        self.spool.picture(picture_id).parent.mkdir(parents=True, exist_ok=True)
        self.spool.picture(picture_id).write_bytes(content)
        return picture_id

    def stop(self) -> None:
        self.strays.close()


def draft(job_id: str) -> Draft:
    return Draft(job_id, "wave", Path("photo.jpg"), {}, ())


def lay(inbox: Path, picture_id: str, content: bytes = b"pixels") -> Path:
    """A claimed picture."""
    path = claimed_folder(inbox, picture_id) / PHOTO
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def orphan(inbox: Path) -> None:
    """A claim of a service that is gone."""
    lay(inbox, FOREIGN)
    owner_file(inbox, FOREIGN[:8]).write_bytes(encode(DEAD))


@pytest.fixture
def house(config: Config) -> Iterator[Callable[..., House]]:
    """Makes services on one inbox, by name."""
    made: list[House] = []

    def make(name: str, **more: Path) -> House:
        state = config.state / name
        state.mkdir(exist_ok=True)
        made.append(House(config.model_copy(update={"state": state, **more}), name))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        one.ledger.close()


def test_claim_of_our_own_that_the_ledger_does_not_know_is_dropped_again_at_once(
    house, config: Config
) -> None:
    here = house("a")
    lay(config.inbox, here.spool.mark() + "0" * 24)
    here.strays.check(0.0)
    assert (config.inbox / PHOTO).read_bytes() == b"pixels"
    assert claims(config.inbox) == [] and tombstones(config.inbox) == []


def test_claim_of_a_service_that_is_gone_is_dropped_again_with_a_tombstone(
    house, config: Config
) -> None:
    orphan(config.inbox)
    here = house("a")
    here.strays.check(0.0)
    assert (config.inbox / PHOTO).read_bytes() == b"pixels"
    assert claims(config.inbox) == [] and tombstones(config.inbox) == [FOREIGN]


def test_claim_of_a_service_that_lives_is_left_alone_and_told_of(house, config: Config) -> None:
    there, here = house("a"), house("b")
    there.claimed()
    here.strays.check(0.0)
    assert not (config.inbox / PHOTO).exists() and len(claims(config.inbox)) == 1
    (held,) = here.strays.holdings
    assert held.count == 1 and "on a (running)" in held.words and not here.strays.undecided


def test_claim_of_a_service_that_may_live_elsewhere_is_waited_for_and_not_for_ever(
    house, config: Config
) -> None:
    lay(config.inbox, FOREIGN)
    elsewhere = dataclasses.replace(DEAD, kernel="another")
    owner_file(config.inbox, FOREIGN[:8]).write_bytes(encode(elsewhere))
    here = house("a")
    for now_s in (0.0, SILENCE_S - 6.0):
        here.strays.check(now_s)
        assert here.strays.undecided and not (config.inbox / PHOTO).exists()
    here.strays.check(SILENCE_S)
    assert not here.strays.undecided and (config.inbox / PHOTO).exists()


def test_service_that_comes_back_leaves_what_was_taken_over_to_the_other(
    house, config: Config
) -> None:
    there = house("a")
    picture_id = there.claimed()
    there.stop()
    here = house("b")
    here.strays.check(0.0)
    assert (config.inbox / PHOTO).exists()
    assert is_anothers(config.inbox, there.spool.mark(), picture_id)
    there.start()
    there.strays.check(0.0)
    assert there.ledger.counts()[State.RETRIED] == 1
    assert there.ledger.picture(picture_id).state is PictureState.FILED
    assert not there.spool.picture(picture_id).exists() and tombstones(config.inbox) == []
    assert (config.inbox / PHOTO).exists()


def test_running_job_of_a_picture_that_was_taken_over_is_not_touched(house, config: Config) -> None:
    there = house("a")
    picture_id = there.claimed()
    assert there.ledger.claim_job("me") is not None
    take_over(config.inbox, picture_id, "b" * 8)
    there.start()
    there.strays.check(0.0)
    assert there.ledger.counts()[State.RUNNING] == 1
    assert tombstones(config.inbox) == [picture_id]
    there.ledger.finish_job(f"job-{picture_id}", "me", State.DONE)
    there.strays.check(100.0)
    assert there.ledger.counts()[State.RETRIED] == 1 and tombstones(config.inbox) == []


def test_tombstone_is_laid_before_anything_is_given_back(
    house, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan(config.inbox)
    rename = os.rename
    laid: list[bool] = []

    def renamed(source: Path, target: Path) -> None:
        laid.append(tombstone(config.inbox, FOREIGN).exists())
        rename(source, target)

    monkeypatch.setattr("os.rename", renamed)
    house("a").strays.check(0.0)
    assert laid == [True]


def test_takeover_that_was_cut_off_after_the_tombstone_loses_nothing(house, config: Config) -> None:
    there = house("a")
    picture_id = there.claimed()
    there.stop()
    tombstone(config.inbox, picture_id).parent.mkdir()
    tombstone(config.inbox, picture_id).touch()
    there.start()
    there.strays.check(0.0)
    assert (config.inbox / PHOTO).exists() and claims(config.inbox) == []
    assert there.ledger.counts()[State.RETRIED] == 1


def test_takeover_that_was_cut_off_after_its_rename_is_ended_at_the_next_start(
    house, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    orphan(config.inbox)
    here = house("a")
    with monkeypatch.context() as crash:
        crash.setattr(claim, "give_back_all", killed)
        with pytest.raises(Killed):
            here.strays.check(0.0)
    here.stop()
    here.start()
    here.strays.check(0.0)
    assert (config.inbox / PHOTO).exists() and claims(config.inbox) == []


def test_of_two_services_that_take_over_one_claim_one_does(house, config: Config) -> None:
    lay(config.inbox, FOREIGN)
    take_over(config.inbox, FOREIGN, "a" * 8)
    take_over(config.inbox, FOREIGN, "b" * 8)
    assert [path.name for path in (config.inbox / "wave").iterdir()] == ["photo.jpg"]


def test_copy_of_a_state_folder_paints_nothing_that_the_running_service_has(
    house, config: Config
) -> None:
    there = house("a")
    picture_id = there.claimed()
    shutil.copytree(there.config.state, config.state / "copy")
    copy = house("copy")
    assert copy.ledger.counts()[State.READY] == 1
    assert not is_anothers(config.inbox, there.strays.mark, picture_id)
    copy.strays.check(0.0)
    assert copy.ledger.counts()[State.RETRIED] == 1 and copy.strays.mark != there.strays.mark
    assert is_anothers(config.inbox, copy.strays.mark, picture_id)
    there.strays.check(0.0)
    assert there.ledger.counts()[State.READY] == 1 and claims(config.inbox) == [picture_id]


def test_picture_of_an_older_versions_mark_stays_ours_while_its_ledger_has_it(
    house, config: Config
) -> None:
    here = house("a")
    here.ledger.add_picture(FOREIGN, PHOTO)
    lay(config.inbox, FOREIGN)
    here.ledger.admit(FOREIGN, sha256="ab", size=6, width_px=4, height_px=3, drafts=[draft("j1")])
    here.strays.check(0.0)
    assert claims(config.inbox) == [FOREIGN] and here.strays.holdings == ()


def test_claims_are_looked_at_again_when_the_inbox_came_back(house, config: Config) -> None:
    here = house("a")
    here.strays.check(0.0)
    lay(config.inbox, here.strays.mark + "0" * 24)
    here.strays.check(1.0)
    assert not (config.inbox / PHOTO).exists()
    here.strays.forget()
    here.strays.check(2.0)
    assert (config.inbox / PHOTO).exists()


def test_those_who_only_ask_learn_whose_claims_there_are_and_leave_nothing(
    house, config: Config
) -> None:
    lay(config.inbox, FOREIGN)
    owner_file(config.inbox, FOREIGN[:8]).write_bytes(encode(DEAD))
    before = sorted(config.inbox.rglob("*"))
    (held,) = strays.known_holdings(config.inbox, "", lambda _: None)
    assert "1 claimed by /old/state on old-box" in held.words
    assert sorted(config.inbox.rglob("*")) == before


def test_service_that_stops_leaves_its_words_only_beside_claims(house, config: Config) -> None:
    there = house("a")
    there.strays.check(0.0)
    there.stop()
    assert not owner_file(config.inbox, there.strays.mark).exists()
    there.start()
    there.claimed()
    there.stop()
    assert owner_file(config.inbox, there.strays.mark).exists()


def test_claim_that_cannot_be_given_back_holds_no_other_up_and_is_tried_again(
    house, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = house("a")
    bad, good = (here.spool.mark() + digit * 24 for digit in "01")
    for picture_id in (bad, good):
        lay(config.inbox, picture_id, picture_id.encode())
    give_back_all = claim.give_back_all

    def refused(inbox: Path, picture_id: str) -> None:
        if picture_id == bad:
            raise OSError(errno.ENOSPC, "No space left on device")
        give_back_all(inbox, picture_id)

    with monkeypatch.context() as full:
        full.setattr(claim, "give_back_all", refused)
        here.strays.check(0.0)
    assert (config.inbox / PHOTO).read_bytes() == good.encode()
    assert "No space left" in here.strays.stuck[bad]
    here.strays.check(HURRIED_LOOK_S)
    assert claims(config.inbox) == [] and here.strays.stuck == {}


def test_claims_of_an_older_mark_are_not_taken_from_a_service_that_runs(
    house, config: Config
) -> None:
    there = house("a")
    there.ledger.add_picture(FOREIGN, PHOTO)
    lay(config.inbox, FOREIGN)
    there.ledger.admit(FOREIGN, sha256="ab", size=6, width_px=4, height_px=3, drafts=[draft("j1")])
    there.strays.check(0.0)
    here = house("b")
    here.strays.check(0.0)
    here.strays.check(SILENCE_S)
    assert claims(config.inbox) == [FOREIGN] and tombstones(config.inbox) == []
    assert not is_anothers(config.inbox, there.strays.mark, FOREIGN)
    assert is_anothers(config.inbox, here.strays.mark, FOREIGN)


def test_older_mark_is_let_go_when_nothing_is_open_under_it(house, config: Config) -> None:
    here = house("a")
    here.ledger.add_picture(FOREIGN, PHOTO)
    here.strays.check(0.0)
    assert owner_file(config.inbox, FOREIGN[:8]).exists()
    here.ledger.forget_picture(FOREIGN)
    here.strays.check(LOOK_S)
    assert not owner_file(config.inbox, FOREIGN[:8]).exists()


def test_claim_without_an_owners_file_is_taken_over_after_long_silence(
    house, config: Config
) -> None:
    lay(config.inbox, FOREIGN)
    here = house("a")
    here.strays.check(0.0)
    assert here.strays.undecided and not (config.inbox / PHOTO).exists()
    here.strays.check(SILENCE_S)
    assert (config.inbox / PHOTO).exists() and tombstones(config.inbox) == [FOREIGN]


def test_service_whose_inbox_could_not_be_looked_at_for_a_moment_is_not_robbed(
    house, config: Config
) -> None:
    there = house("a")
    picture_id = there.claimed()
    there.strays.look_again()
    house("b").strays.check(0.0)
    assert claims(config.inbox) == [picture_id] and tombstones(config.inbox) == []


def copy_of(there: House, house: Callable[..., House]) -> House:
    """A service with a copy of another's state, which has seen that and left all to the other."""
    shutil.copytree(there.config.state, there.config.state.parent / "copy")
    copy = house("copy")
    copy.strays.check(0.0)
    return copy


def test_copy_that_takes_over_what_it_had_left_lays_a_tombstone(house, config: Config) -> None:
    there = house("a")
    picture_id = there.claimed()
    copy = copy_of(there, house)
    there.stop()
    for now_s in (100.0, 161.0 + SILENCE_S):
        copy.strays.check(now_s)
    assert (config.inbox / PHOTO).exists() and tombstones(config.inbox) == [picture_id]
    there.start()
    there.strays.check(0.0)
    assert there.ledger.counts()[State.READY] == 0 and (config.inbox / PHOTO).exists()


def test_copy_leaves_the_tombstone_that_a_third_service_laid_for_the_original(
    house, config: Config
) -> None:
    there = house("a")
    picture_id = there.claimed()
    copy = copy_of(there, house)
    there.stop()
    house("c").strays.check(0.0)
    copy.strays.check(100.0)
    assert tombstones(config.inbox) == [picture_id]
    there.start()
    there.strays.check(0.0)
    assert there.ledger.counts()[State.READY] == 0


def test_service_remembers_that_it_has_met_another_on_its_inbox(house, config: Config) -> None:
    first = house("a")
    first.strays.check(0.0)
    assert not first.spool.shares_inbox.exists()
    second = house("b")
    second.strays.check(0.0)
    first.strays.check(strays.LOOK_S)
    assert first.spool.shares_inbox.exists() and second.spool.shares_inbox.exists()
