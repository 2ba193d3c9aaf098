"""The gallery of a real service: what it shows comes and goes with the outbox."""

import shutil

from daemon.outbox.gallery import places
from tests.support.atelier import Studio, wait_for


def test_gallery_shows_what_was_published_whatever_happened_in_between(studio: Studio) -> None:
    studio.configure(gallery=True)
    index = studio.outbox / places.INDEX
    failed = studio.outbox / places.shelf_front(places.FAILED)

    def shows(*names: str) -> bool:
        return index.exists() and all(name in index.read_text() for name in names)

    with studio.service() as service:
        studio.drop("quick/first.jpg")
        studio.drop("quick/broken.jpg", b"no picture")
        wait_for("first.jpg to be shown", lambda: shows("first.jpg"), seen=studio.seen)
        wait_for("broken.jpg to be told of", failed.exists, seen=studio.seen)
        studio.drop("quick/second.jpg")
        studio.published("quick", "second.jpg")
        service.kill()
    (studio.outbox / "quick" / "first.jpg").unlink()
    studio.drop("quick/third.jpg")
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    assert shows("second.jpg", "third.jpg") and not shows("first.jpg")
    shutil.rmtree(studio.outbox / ".gallery")
    assert studio.run("gallery", "--rebuild").stdout.endswith(f"{index}\n")
    page = studio.outbox / places.picture_page(studio.job_of("third.jpg").id)  # type: ignore[union-attr]
    assert "data-compare" in page.read_text()
