"""Unit files as text: what is put in comes out as it was meant."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import SurroundingsError
from daemon.install.unitfile import quoted, with_values, without

NAMES = st.text(st.characters(blacklist_categories=["C", "Zl", "Zp"]), min_size=1).filter(
    lambda name: "/" not in name and name not in (".", "..")
)

UNIT = """\
[Unit]
# Why after.
After=a.target

[Service]
# Both of these.
User=me
Nice=10

# Only this.
Group=us

# Nothing, but worth saying.
"""


@given(NAMES)
def test_any_name_is_one_word_of_a_directive(name: str) -> None:
    path = Path("/srv") / name
    assert shlex.split(quoted(path, "-").replace("%%", "%")) == [f"-{path}"]


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/srv/photos", "/srv/photos"),
        ("/srv/my photos", '"/srv/my photos"'),
        ("/srv/100%", '"/srv/100%%"'),
        ("/srv/$HOME", '"/srv/$HOME"'),
        ('/srv/the "best"', '"/srv/the \\"best\\""'),
        ("/srv/a\\b", '"/srv/a\\\\b"'),
        ("/srv/anna's", '"/srv/anna\'s"'),
        ("/srv/a;b#c", '"/srv/a;b#c"'),
    ],
)
def test_path_is_quoted_as_systemd_reads_it(path: str, written: str) -> None:
    assert quoted(Path(path)) == written


@pytest.mark.parametrize("name", ["a\nExecStart=/bin/sh", "a\tb", "a\x7f", "a\udcff"])
def test_name_that_no_unit_can_hold_is_refused(name: str) -> None:
    with pytest.raises(SurroundingsError, match="rename it"):
        quoted(Path("/srv") / name)


def test_value_takes_the_place_of_the_first_and_the_others_go() -> None:
    unit = "[Service]\nA=1\nB=2\nA=3\n"
    assert with_values(unit, {"A": ["x", "y"], "C": ["z"]}) == "[Service]\nA=x\nA=y\nB=2\n"


def test_comment_goes_with_the_directives_it_is_about() -> None:
    left = without(UNIT, {"After", "User", "Group"})
    assert left == (
        "[Unit]\n\n[Service]\n# Both of these.\nNice=10\n\n# Nothing, but worth saying.\n"
    )
