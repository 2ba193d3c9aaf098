"""What the doctor says of the page."""

import socket
from pathlib import Path

from daemon.doctor.page import examine_page
from daemon.settings.address import Address
from daemon.settings.config import Config
from daemon.settings.page import PageSettings


def test_page_is_told_with_who_may_see_it_and_whether_it_is_served(tmp_path: Path) -> None:
    assert list(examine_page(Config())) == []
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address("127.0.0.1", server.getsockname()[1])
        page = PageSettings().model_copy(update={"address": address})
        config = Config().model_copy(update={"page": page})
        (found,) = examine_page(config)
        assert found.ok and found.detail == f"{address}, to everybody on this machine; served"
    (found,) = examine_page(config)
    assert found.ok and "nothing listens" in found.detail


def test_secret_that_others_may_read_is_to_be_mended(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a long enough secret of its own\n")
    secret.chmod(0o644)
    page = PageSettings().model_copy(update={"token_file": secret})
    (found,) = examine_page(Config().model_copy(update={"page": page}))
    assert not found.ok and str(secret) in found.detail and "chmod o-rw" in found.detail
