"""The state folder's inside."""

from pathlib import Path

from daemon.spool import Spool


def test_style_image_is_kept_by_its_hash_whatever_becomes_of_the_file(tmp_path: Path) -> None:
    source, spool = tmp_path / "wave.png", Spool(tmp_path / "state")
    source.write_bytes(b"first")
    sha256 = spool.keep_style(source)
    source.write_bytes(b"second")
    assert spool.keep_style(source) != sha256
    assert spool.style(sha256).read_bytes() == b"first"


def test_dropping_what_is_gone_is_fine(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.job("j1").mkdir(parents=True)
    spool.result("j1").write_bytes(b"x")
    for _ in range(2):
        spool.drop_job("j1")
        spool.drop_picture("p1")
    assert not spool.job("j1").exists()
