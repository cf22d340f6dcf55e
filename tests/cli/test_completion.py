"""What bash, zsh and fish are offered, asked as they ask."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import LIMIT, RETRAIN, SMALL_SPEC
from made_runs import add

from retrain_cli.datasets.file_index import FileIndex, FolderRecord
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace

HEAVY = {"keras", "tensorflow", "jax", "torch", "openvino", "scipy", "matplotlib", "sklearn"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace of three runs and a dataset of three classes."""
    root = tmp_path_factory.mktemp("completion")
    workspace = Workspace(root / ".retrain")
    workspace.prepare()
    store = RunStore(workspace.runs_dir)
    for name in ("rose", "rose two", "tulip"):
        add(store, name)
    store.get("tulip").annotate("the one to ship")
    photos = root / "photos"
    LastUsed(photos, SMALL_SPEC.resolve(), "none", None).save(workspace)
    with FileIndex(workspace.index_path) as index:
        number = index.dataset_id(photos)
        names = ("ant", "dog, brown", "hot dog")
        index.replace_folders(number, {name: FolderRecord(name, None) for name in names})
    return root


def offered(line: str, folder: Path, shell: str = "bash", **extra: str) -> list[str]:
    """The lines that the shell's own function would get for a command line."""
    words = line.split(" ")
    variables = {name: value for name, value in os.environ.items() if "RETRAIN" not in name}
    variables |= {
        "_RETRAIN_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        **extra,
    }
    done = subprocess.run(
        [str(RETRAIN)],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert done.stderr == ""
    return [one for one in done.stdout.splitlines() if one]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("retrain ru", ["runs"]),
        ("retrain help ru", ["runs"]),
        ("retrain runs re", ["rename"]),
        ("retrain eval ", ["tulip", "rose\\ two", "rose", "latest"]),
        ("retrain eval --run t", ["tulip"]),
        ("retrain train --init-from ro", ["rose\\ two", "rose"]),
        ("retrain compare rose tu", ["tulip"]),
        ("retrain runs rm rose tu", ["tulip"]),
        ("retrain runs show la", ["latest"]),
        ("retrain runs rename tu", ["tulip"]),
        ("retrain label x.jpg --run tu", ["tulip"]),
        ("retrain add-class --run tu", ["tulip"]),
        ("retrain check tu", ["tulip"]),
        ("retrain report tu", ["tulip"]),
        ("retrain eval --chart r", ["roc", "reliability"]),
        ("retrain eval --positive ", ["ant", "βους"]),
        ("retrain train --optimizer ada", ["adam", "adamax", "adamw"]),
        ("retrain bottlenecks photos --backbone mobilenet_v3", ["mobilenet_v3_small"]),
        ("retrain train --classes ", ["ant", '\\"dog,\\ brown\\"', "hot\\ dog"]),
        ("retrain train --classes ant,h", ["ant,hot\\ dog"]),
        ("retrain study hist", ["histogram"]),
        ("retrain config show tr", ["train"]),
        ("retrain config show study co", ["cost"]),
        ("retrain train --workspace elsewhere --init-from ", []),
        ("retrain train --init-from ro --workspace ", []),
    ],
)
def test_bash(folder: Path, line: str, expected: list[str]) -> None:
    found = offered(line, folder)
    assert found[: len(expected)] == expected
    assert bool(found) == bool(expected)


def test_zsh_and_fish_show_notes(folder: Path) -> None:
    assert '"tulip":"the one to ship"' in "\n".join(offered("retrain eval ", folder, "zsh"))
    assert "rose two" in offered("retrain eval ro", folder, "fish")
    assert "tulip\tthe one to ship" in offered("retrain runs show ", folder, "fish")


def test_a_workspace_of_the_settings_is_looked_at(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "retrain.toml").write_text(f"workspace = '{folder / '.retrain'}'")
    assert offered("retrain eval tu", tmp_path) == ["tulip"]
    (tmp_path / "retrain.toml").write_text("nonsense [")
    assert offered("retrain eval --chart roc", tmp_path) == ["roc"]
    workspace = str(folder / ".retrain")
    assert offered("retrain eval tu", tmp_path, RETRAIN_WORKSPACE=workspace) == ["tulip"]
    assert offered(f"retrain eval --workspace {workspace} --run tu", tmp_path) == ["tulip"]


def test_no_engine_is_imported_for_it(folder: Path) -> None:
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr))\n"
        "from retrain_cli.cli.main import main\n"
        "main()\n"
    )
    variables = {"_RETRAIN_COMPLETE": "complete_bash", "COMP_CWORD": "3"}
    for line in ("retrain train --classes ", "retrain eval --run ", "retrain study cost -"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=folder,
            env={**os.environ, **variables, "COMP_WORDS": line},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )
        assert done.stdout.strip(), line
        assert done.stderr.strip() == "[]"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_script_that_is_installed_works_in_bash(folder: Path, tmp_path: Path) -> None:
    script = """
retrain --install-completion >&2
. "$HOME/.bashrc"
COMP_WORDS=(retrain runs show tu) COMP_CWORD=3
_retrain_completion retrain
printf '%s\\n' "${COMPREPLY[@]}"
"""
    path = f"{RETRAIN.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=folder,
        env={**os.environ, "HOME": str(tmp_path), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert done.stdout == "tulip\n", done.stderr
