"""Promises about the whole: torch stays out of the service, and everything is documented."""

import ast
import re
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel

from daemon.cli import COMMANDS as FUNCTIONS
from daemon.commands.parser import make_parser
from daemon.errors import ExitCode
from daemon.settings.config import Config
from daemon.settings.fleet import NodeSettings
from daemon.settings.presets import PresetFile, StyleEntry
from daemon.settings.yamlfile import nested_model

ROOT = Path(__file__).parents[2]
Rows = list[tuple[str, str]]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """The rows of every table in the documents, with the text of their first cell."""
    lines = [line for path in DOCUMENTS for line in path.read_text().splitlines()]
    return [(line.split("|")[1].strip(), line) for line in lines if line.startswith("|")]


def walk(parser: ArgumentParser, path: str = "") -> Iterator[tuple[str, ArgumentParser]]:
    """Every command by the words that call it."""
    if path:
        yield path, parser
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for name, inner in action.choices.items():
                yield from walk(inner, f"{path} {name}".strip())


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Every key of a model, those of inner models too."""
    for name, field in model.model_fields.items():
        yield name
        inner = nested_model(field.annotation)
        if inner is not None:
            yield from keys(inner)


COMMANDS = dict(walk(make_parser(FUNCTIONS)))
OPTIONS = sorted(
    (name, option)
    for name, command in COMMANDS.items()
    for action in command._actions
    for option in action.option_strings
    if option.startswith("--") and option not in ("--help", "--config")
)


def test_there_are_commands_and_options_to_document() -> None:
    assert {"run", "status", "presets", "stylize", "retry", "cancel", "doctor"} <= set(COMMANDS)
    assert {("run", "--once"), ("stylize", "--set"), ("retry", "--failed")} <= set(OPTIONS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_command_is_documented(rows: Rows, command: str) -> None:
    assert any(re.match(rf"`{command}\b", cell) for cell, _ in rows)


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_option_of_a_command_is_documented_with_it(rows: Rows, command: str, option: str) -> None:
    mine = [row for cell, row in rows if cell.startswith(f"`{command}")]
    assert any(re.search(rf"`[^`]*{option}\b[^`]*`", row) for row in mine)


@pytest.mark.parametrize("option", ["--config", "--version"])
def test_option_of_every_command_is_documented(option: str) -> None:
    assert any(f"[{option}" in path.read_text() for path in DOCUMENTS)


@pytest.mark.parametrize("key", sorted(set(keys(Config))))
def test_configuration_key_is_documented(rows: Rows, key: str) -> None:
    assert any(re.fullmatch(rf"`(\w+: )?{key}`", cell) for cell, _ in rows)


@pytest.mark.parametrize("key", sorted(NodeSettings.model_fields))
def test_key_of_a_node_is_documented(rows: Rows, key: str) -> None:
    assert any(re.search(rf"(^|, )`{key}`", cell) for cell, _ in rows)


@pytest.mark.parametrize("field", sorted(PresetFile.model_fields))
def test_preset_field_is_documented(rows: Rows, field: str) -> None:
    assert any(cell == f"`{field}`" for cell, _ in rows)


@pytest.mark.parametrize("field", sorted(StyleEntry.model_fields))
def test_field_of_a_style_image_is_documented(rows: Rows, field: str) -> None:
    assert any(cell == "`styles`" and field in row for cell, row in rows)


@pytest.mark.parametrize("code", list(ExitCode))
def test_exit_code_is_documented(rows: Rows, code: ExitCode) -> None:
    assert any(cell == str(code.value) for cell, _ in rows)


def test_every_setting_describes_itself() -> None:
    for model in (PresetFile, StyleEntry):
        assert all(field.description for field in model.model_fields.values())


def test_service_process_loads_neither_torch_nor_numpy_nor_who_looks_for_the_weights() -> None:
    """`doctor` looks for them: torch takes seconds, and does not load where the folder is gone."""
    names = ("service.main", "cli", "pool.local", "intake.decode", "engine.vgg.weights")
    script = (
        "import importlib, pathlib, sys\n"
        f"for name in {names}:\n"
        "    module = importlib.import_module(f'daemon.{name}')\n"
        "    assert not {'torch', 'numpy', 'cv2'} & set(sys.modules), name\n"
        "assert module.locate('classic', pathlib.Path()).is_file()\n"
        "assert 'torch' not in sys.modules, 'locate'"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert ended.returncode == 0, ended.stderr.decode()


def test_worker_starts_without_what_takes_as_long_as_torch() -> None:
    modules = "{'torchvision', 'cv2'} & set(sys.modules)"
    script = f"import sys, daemon.worker.child; sys.exit(len({modules}))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_status_loads_little_since_it_must_answer_at_once() -> None:
    slow = "{'loguru', 'PIL', 'rich.progress', 'asyncio', 'prometheus_client', 'pynvml'}"
    script = (
        "import sys, runpy; sys.argv[1:] = ['--config', 'none.yaml', 'status']\n"
        "try: runpy.run_module('daemon', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "import daemon.status.report, daemon.status.show\n"
        f"sys.exit(' '.join(sys.modules.keys() & {slow}) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert ended.returncode == 0, ended.stderr.decode()


@cache
def imported(path: Path) -> frozenset[str]:
    """The top-level packages a module imports anywhere, within functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return frozenset(found)


MODULES = sorted((ROOT / "daemon").rglob("*.py"))


def test_only_the_engine_and_the_worker_import_torch() -> None:
    for path in MODULES:
        name = str(path.relative_to(ROOT / "daemon"))
        if imported(path) & {"torch", "torchvision"}:
            # Checkpoints, previews, threads are imported by the child alone, the probe by nobody.
            names = ("child", "checkpoint", "preview", "probe", "threads")
            child = {f"worker/{one}.py" for one in names}
            assert name.startswith("engine/") or name in child, name


def test_only_the_ledgers_room_touches_sqlite() -> None:
    users = {path for path in MODULES if "sqlite3" in imported(path)}
    assert {path.parent.name for path in users} == {"ledger"}


def test_nothing_is_unpickled_but_weights_whose_hash_is_known() -> None:
    users = {path.name for path in MODULES if imported(path) & {"pickle", "shelve", "marshal"}}
    loads = {
        path.name: re.findall(r"torch\.load\(.*", path.read_text())
        for path in MODULES
        if "torch.load(" in path.read_text()
    }
    assert users == set() and list(loads) == ["kernels.py"]
    assert all("weights_only=True" in call for call in loads["kernels.py"])


def test_every_fault_is_proved_by_tests_that_exist() -> None:
    table = [line for line in (ROOT / "docs/faults.md").read_text().splitlines() if "| `" in line]
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    named = [name for line in table for name in re.findall(r"`([\w/.]+)`", line.split("|")[3])]
    files = [name for name in named if "/" in name]
    assert len(table) > 25
    assert {name for name in named if "/" not in name} <= tests
    assert all((ROOT / name).exists() for name in files)


def test_no_two_classes_have_one_name() -> None:
    homes: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert len(homes) > 200
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_every_room_says_in_a_paragraph_what_it_is_for() -> None:
    rooms = [
        path for path in MODULES if path.name == "__init__.py" and path.parent.name != "daemon"
    ]
    assert len(rooms) > 15
    for path in rooms:
        paragraph = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert len(re.findall(r"[.!?](?:\s|$)", paragraph)) > 1 and len(paragraph) > 100, path
