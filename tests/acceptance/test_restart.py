"""Stopping a service in the middle of a picture, and starting it again."""

from daemon.job import State
from tests.support.atelier import Studio, has_open, is_alive, wait_for


def test_sigterm_puts_the_job_back_and_the_next_start_finishes_it(studio: Studio) -> None:
    studio.add_preset("slow", steps=40)
    studio.drop("slow/photo.jpg")
    with studio.service() as first:
        first.wait_for_step()
        family = [*first.workers(), *first.decoders()]
        assert first.stop() == 0
        assert family and not any(map(is_alive, family))
    (waiting,) = studio.jobs()
    assert (waiting.state, waiting.starts) == (State.READY, 1)
    assert studio.status()["service"]["running"] is False
    assert studio.run("run", "--once").returncode == 0
    record = studio.record("slow/.jobs/photo.jpg.json")
    assert (record["state"], record["id"], record["starts"]) == ("done", waiting.id, 2)
    assert len(studio.jobs()) == 1
    log = (studio.outbox / "slow/.jobs/photo.jpg.log").read_text()
    assert "goes on after step" in log


def test_sigterm_while_the_decoder_works_ends_in_time(studio: Studio) -> None:
    from tests.acceptance.test_service import large_png

    studio.configure(limits={"picture_pixels": 1_000_000_000})
    with studio.service() as service:
        studio.drop("quick/large.png", large_png(15_000, 15_000))
        wait_for("the decoder to read it", lambda: has_open(service.decoders(), "large.png"))
        assert service.stop() == 0
    assert (studio.inbox / "quick/large.png").exists() or studio.jobs(State.READY)
