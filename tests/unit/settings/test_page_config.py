"""The page as config.yaml describes it, and the files of its secrets."""

from pathlib import Path

import pytest

from daemon.errors import ConfigError
from daemon.settings.address import Address
from daemon.settings.config import Config, load_config
from daemon.settings.page import PageSettings, read_secrets

LONG = "a long enough secret of its own"


def loaded(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text(f"page: {text}\n")
    return load_config(path)


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, text)
    return str(error.value)


def test_page_is_not_served_unless_it_is_named(tmp_path: Path) -> None:
    assert Config().page is None
    assert loaded(tmp_path, "null").page is None


def test_address_alone_is_enough(tmp_path: Path) -> None:
    page = loaded(tmp_path, "127.0.0.1:8470").page
    assert page == PageSettings() and not page.presets
    page = loaded(tmp_path, "':9000'").page
    assert page is not None and page.address == Address("localhost", 9000)


def test_paths_are_relative_to_the_configuration(tmp_path: Path) -> None:
    page = loaded(tmp_path, "{password_file: a/b, hosts: [Studio.Example]}").page
    assert page is not None and page.password_file == tmp_path / "a" / "b"
    assert page.hosts == ("studio.example",)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "'[::]", "studio.example"])
def test_address_that_others_reach_needs_a_secret(tmp_path: Path, host: str) -> None:
    address = f"{host}:8470'" if host.startswith("'") else f"{host}:8470"
    told = refused(tmp_path, f"{{address: {address}, hosts: [studio.example]}}")
    assert "page.address" in told and "password_file" in told and "TLS" in told
    page = loaded(tmp_path, f"{{address: {address}, hosts: [a.example], token_file: x}}").page
    assert page is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "'[::1]"])
def test_address_of_this_machine_alone_needs_none(tmp_path: Path, host: str) -> None:
    address = f"{host}:8470'" if host.startswith("'") else f"{host}:8470"
    assert loaded(tmp_path, f"{{address: {address}}}").page is not None


def test_every_address_needs_names_that_people_type(tmp_path: Path) -> None:
    assert "page.hosts" in refused(tmp_path, "{address: '0.0.0.0:8470', token_file: x}")


@pytest.mark.parametrize("host", ["http://a.example", "a.example:80", "a/b", "", "a b", "*"])
def test_host_is_a_name_as_it_stands_in_a_browser(tmp_path: Path, host: str) -> None:
    assert "without http://" in refused(tmp_path, f"{{hosts: ['{host}']}}")


def test_page_of_no_address_is_written_otherwise(tmp_path: Path) -> None:
    assert "page: null" in refused(tmp_path, "{address: null}")
    assert "did you mean `presets`" in refused(tmp_path, "{preset: true}")


def secret_of(tmp_path: Path, content: bytes, mode: int = 0o600) -> dict[str, str]:
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return read_secrets(PageSettings().model_copy(update={"token_file": path}))


def test_secret_is_the_first_line_of_a_file_that_others_may_not_read(tmp_path: Path) -> None:
    assert secret_of(tmp_path, f"{LONG}\r\nnotes\n".encode()) == {"token_file": LONG}
    assert secret_of(tmp_path, LONG.encode(), 0o640) == {"token_file": LONG}


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        (LONG.encode(), 0o604, "others may read"),
        (LONG.encode(), 0o602, "others may read or write"),
        (b"short\n", 0o600, "at least 24"),
        (b"", 0o600, "at least 24"),
        (b"\xff" * 40, 0o600, "not UTF-8"),
    ],
)
def test_secret_that_is_none_is_refused_and_not_repeated(
    tmp_path: Path, content: bytes, mode: int, told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        secret_of(tmp_path, content, mode)
    assert LONG not in str(error.value)


def test_secret_that_is_away_or_a_folder_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ConfigError, match=r"page\.password_file"):
            read_secrets(PageSettings().model_copy(update={"password_file": path}))
