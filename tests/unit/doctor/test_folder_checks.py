"""Rights, room and mounts of the folders."""

import stat
from functools import partial
from pathlib import Path

import pytest

from daemon.doctor import folders
from daemon.doctor.finding import found
from daemon.settings.config import Config

tried = partial(found, "what")

NFS = "36 35 98:0 / {} rw - nfs4 server:/export rw\n"
INBOX = Path("/srv/inbox")


@pytest.mark.parametrize(
    ("mode", "owned", "ok", "told"),
    [
        (0o2770, True, True, "setgid"),
        (0o755, True, True, "only its owner"),
        (0o770, True, False, "chmod g+s /srv/inbox"),
        (0o3770, False, False, "chmod -t /srv/inbox"),
        (0o3770, True, True, "setgid"),  # the owner of a folder may rename all in it
    ],
)
def test_rights_of_the_inbox_are_judged_for_those_who_share_it(
    mode: int, owned: bool, ok: bool, told: str
) -> None:
    found = tried(folders.judge_sharing, INBOX, stat.S_IFDIR | mode, owned)
    assert found.ok is ok
    assert told in found.detail


def test_sharing_looks_at_the_inbox_itself(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    assert "g+s" in tried(folders.check_sharing, tmp_path).detail
    assert "not there yet" in tried(folders.check_sharing, tmp_path / "gone").detail


@pytest.mark.parametrize(
    ("total", "free", "ok"), [(0, 0, True), (9999, 999, False), (9, 1000, True)]
)
def test_few_free_inodes_are_told(total: int, free: int, ok: bool) -> None:
    assert tried(folders.judge_inodes, INBOX, total, free).ok is ok


def test_state_on_a_network_mount_is_wrong(config: Config) -> None:
    found = tried(folders.check_state_disk, config.state, NFS.format(config.state))
    assert not found.ok
    assert "local disk" in found.detail
    assert tried(folders.check_state_disk, config.state, NFS.format("/elsewhere")).ok


def test_inbox_on_the_network_wants_time_to_settle(config: Config) -> None:
    mounts = NFS.format(config.inbox)
    assert tried(folders.check_shares, config, mounts).detail == "on the network: inbox"
    hasty = config.model_copy(update={"settle_s": 1.0})
    assert not tried(folders.check_shares, hasty, mounts).ok
    assert tried(folders.check_shares, hasty, "").ok
