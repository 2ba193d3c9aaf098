"""Children that speak, and what they say where nobody expects it."""

from pathlib import Path

from daemon.process import Child

GRUMBLER = """
import os, sys
for _ in range(4):
    os.write(2, b"\\xff" * 40_000 + b"\\n")  # a C library's words need not be text
for line in sys.stdin:
    print("{}", flush=True)
"""


def test_child_whose_complaints_are_no_text_goes_on_and_is_heard(tmp_path: Path) -> None:
    (tmp_path / "grumbler.py").write_text(GRUMBLER)
    heard: list[str] = []
    child = Child("grumbler", [], on_stderr=heard.append, environment={"PYTHONPATH": str(tmp_path)})
    child.send({})
    answer = child.receive_within(10.0)
    child.close(5.0)
    assert answer == {}
    assert [len(line) for line in heard] == [160_000] * 4  # \xff, escaped
