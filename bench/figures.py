"""The figures that the house is kept by, over the whole of daemon/.

Run as `python bench/figures.py`. Prints each figure with what spoils it; judges nothing.
"""

import ast
import graphlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "daemon"
MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 50

Modules = dict[str, ast.Module]
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def read_modules(paths: Sequence[Path]) -> Modules:
    """The parsed modules by their dotted names; a package goes by its own."""
    names = {path: path.relative_to(ROOT).with_suffix("").as_posix() for path in paths}
    return {
        name.replace("/", ".").removesuffix(".__init__"): ast.parse(path.read_text("utf-8"))
        for path, name in names.items()
    }


def definitions(modules: Modules) -> Iterator[tuple[str, Definition]]:
    """Every class, function and method, those within functions too, with its module."""
    for name, module in modules.items():
        for node in ast.walk(module):
            if isinstance(node, DEFINITIONS):
                yield name, node


def public_things(modules: Modules) -> Iterator[tuple[str, ast.Module | Definition]]:
    """Every module, and every class, function and method that is public at its top."""
    for name, module in modules.items():
        yield name, module
        inner = [(name, node) for node in module.body]
        while inner:
            place, node = inner.pop()
            if isinstance(node, DEFINITIONS) and not node.name.startswith("_"):
                yield f"{place}.{node.name}", node
                if isinstance(node, ast.ClassDef):
                    inner += [(f"{place}.{node.name}", child) for child in node.body]


def long_files(paths: Sequence[Path]) -> list[str]:
    """Files of more lines than a file should have."""
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in paths}
    return [
        f"{path.relative_to(ROOT)}: {count}"
        for path, count in lines.items()
        if count > MOST_FILE_LINES
    ]


def long_functions(modules: Modules) -> list[str]:
    """Functions of more lines than a function should have."""
    return [
        f"{module}.{node.name}: {length}"
        for module, node in definitions(modules)
        if not isinstance(node, ast.ClassDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_FUNCTION_LINES
    ]


def tangled_functions() -> list[str]:
    """Functions that ruff finds too complex, by the limit in pyproject.toml."""
    command = [sys.executable, "-m", "ruff", "check", "--select", "C901", "--output-format=concise"]
    found = subprocess.run([*command, HOUSE], check=False, capture_output=True, text=True, cwd=ROOT)
    return [line for line in found.stdout.splitlines() if "C901" in line]


def cycles(modules: Modules) -> list[str]:
    """The first cycle of imports at the modules' top, if there is one."""
    graph = {
        name: {target for target in imports(module) if target in modules}
        for name, module in modules.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [" -> ".join(error.args[1])]
    return []


def imports(module: ast.Module) -> Iterator[str]:
    """What a module may import when it is loaded, by dotted name."""
    for node in module.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module


def names_used_twice(modules: Modules) -> list[str]:
    """Names that more than one class has."""
    counts = Counter(
        node.name for _, node in definitions(modules) if isinstance(node, ast.ClassDef)
    )
    return [f"{name}: {count} classes" for name, count in counts.items() if count > 1]


def main() -> None:
    """Prints the figures."""
    paths = sorted(HOUSE.rglob("*.py"))
    modules = read_modules(paths)
    public = list(public_things(modules))
    bare = [name for name, node in public if not ast.get_docstring(node)]
    loose = [path.name for path in HOUSE.glob("*.py") if not path.name.startswith("__")]
    every = [*paths, *sorted((ROOT / "tests").rglob("*.py"))]
    skips = [str(path.relative_to(ROOT)) for path in every if "# fmt: skip" in path.read_text()]
    told = 100 * (1 - len(bare) / len(public))
    figures = {
        f"files of more than {MOST_FILE_LINES} lines": long_files(paths),
        f"functions of more than {MOST_FUNCTION_LINES} lines": long_functions(modules),
        "functions that are too complex": tangled_functions(),
        f"public things without a docstring ({told:.1f} % of {len(public)} have one)": bare,
        "cycles of imports": cycles(modules),
        "class names used twice": names_used_twice(modules),
        "loose modules": loose,
        "files with `fmt: skip`": skips,
    }
    for title, spoilers in figures.items():
        print(f"{len(spoilers):6} {title}")
        for spoiler in spoilers:
            print(f"         {spoiler}")
    print(f"{sum(len(path.read_text().splitlines()) for path in paths):6} lines of daemon/")


if __name__ == "__main__":
    main()
