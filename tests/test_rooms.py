"""Imports only go down the house of docs/architecture.md, and start-up stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from helpers import PROJECT

PACKAGE = PROJECT / "retrain_cli"
FLOORS: list[set[str]] = [
    {
        "errors",
        "flags",
        "interrupts",
        "parallel",
        "durable",
        "files",
        "paths",
        "waiting",
        "notices",
        "cells",
    },
    {"checks", "locking", "notebook", "storage"},
    {"engine", "workspace", "database"},
    {"images", "samples"},
    {"backbones"},
    {"cache", "datasets"},
    {"extraction", "signals"},
    {"similarity"},
    {"evaluation"},
    {"heads"},
    {"finetuning", "explaining"},
    {"runs", "reports", "exporting"},
    {"studies"},
    {"workflows"},
    {"serving"},
    {"cli"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = {
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "ray",
    "scipy",
    "sklearn",
    "imblearn",
    "matplotlib",
    "pyarrow",
    "jinja2",
}


def modules() -> list[Path]:
    found = sorted(PACKAGE.rglob("*.py"))
    assert len(found) > 40
    return found


def imports_of(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    room = room_of(path)
    if room not in FLOOR_OF:
        assert path.parent == PACKAGE, f"{room} stands on no floor"
        return  # __init__ and __main__ are the doors
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "retrain_cli" or len(parts) < 2 or parts[1] not in FLOOR_OF:
            continue
        other = parts[1]
        assert other == room or FLOOR_OF[other] < FLOOR_OF[room], f"{room} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_heavy_is_imported_at_the_top(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports_of(path, top_level_only=True)}
    assert not tops & HEAVY


def test_only_the_console_prints() -> None:
    for path in modules():
        if path.name == "console.py":
            continue
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
        assert "print" not in names, path


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["runs"], ["classes"], ["eval"], ["cache", "info"], ["train", "--help"]],
)
def test_commands_without_a_network_import_no_engine(arguments: list[str], tmp_path: Path) -> None:
    """`runpy` runs the command; then the modules that it imported are looked at."""
    code = (
        "import atexit, sys\n"
        f"heavy = {HEAVY!r}\n"
        "atexit.register(lambda: print('HEAVY', sorted(heavy & set(sys.modules))))\n"
        f"sys.argv = ['retrain', *{arguments!r}]\n"
        "from retrain_cli.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []", done.stderr


def module_name(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_import_cycles() -> None:
    """Modules can be put into an order in which each imports earlier ones only, late ones too."""
    imports = {module_name(path): imports_of(path) for path in modules()}
    graph = {
        name: {
            other
            for other in used & imports.keys()
            if not name.startswith(other) and other != "retrain_cli"
        }
        for name, used in imports.items()
        if name != "retrain_cli"  # its own names are lazy
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_folders_can_be_surveyed() -> None:
    for folder in {path.parent for path in modules()}:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= 17, folder


def test_a_file_name_says_which_file() -> None:
    """Only the command, the workflow and the view of one command may share its name."""
    of_commands = {
        "cli/commands",
        "cli/commands/tuning",
        "cli/views",
        "cli/views/tuning",
        "workflows",
        "workflows/tuning",
    }
    names = [
        path.name
        for path in modules()
        if path.name != "__init__.py" and str(path.parent.relative_to(PACKAGE)) not in of_commands
    ]
    assert [name for name in set(names) if names.count(name) > 1] == []


def test_files_and_functions_stay_small() -> None:
    for path in modules():
        source = path.read_text(encoding="utf-8")
        assert source.count("\n") <= 450, path
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef) or room_of(path) == "cli":
                continue  # a command's signature is as long as its list of flags
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 50, f"{path}:{node.name}"
