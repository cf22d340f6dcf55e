"""The docs speak of what is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import typer.main
from helpers import PROJECT
from make_study_docs import BLOCK, quick_options, titles
from make_study_workspaces import WORKSPACES

from retrain_cli.cli.main import app
from retrain_cli.cli.settings import OuterSettings

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    root = typer.main.get_command(app)
    return list(root.list_commands(None))  # type: ignore[attr-defined]


def test_every_command_has_help_and_stands_in_the_readme() -> None:
    root = typer.main.get_command(app)
    for name in commands():
        assert root.get_command(None, name).help, name  # type: ignore[attr-defined]
        assert f"retrain {name}" in README, name


def test_every_option_has_help() -> None:
    def check(command: Any, path: str) -> None:
        for parameter in command.params:
            if parameter.name not in ("help", "install_completion", "show_completion"):
                assert parameter.help, f"{path} {parameter.name}"
        for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
            check(command.get_command(None, name), f"{path} {name}")

    check(typer.main.get_command(app), "retrain")


def test_cli_md_is_not_stale() -> None:
    script = PROJECT / "tools" / "make_cli_docs.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_study_of_the_page_has_its_workspaces_and_a_short_form() -> None:
    page = (PROJECT / "docs" / "study.md").read_text(encoding="utf-8")
    made = {one.title for one in WORKSPACES}
    study = typer.main.get_command(app).get_command(None, "study")  # type: ignore[attr-defined]
    marks = [block["mark"] for block in BLOCK.finditer(page)]
    assert {title for mark in marks for title in titles(mark)} == made
    for mark in marks:
        name, *words = shlex.split(quick_options(mark.partition("|")[0]))
        study.get_command(None, name).make_context(name, words)


def test_links_between_the_pages_lead_somewhere() -> None:
    pages = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_page_of_the_study_names_commands_that_exist() -> None:
    page = (PROJECT / "docs" / "study.md").read_text(encoding="utf-8")
    study = typer.main.get_command(app).get_command(None, "study")  # type: ignore[attr-defined]
    studies = study.list_commands(None)
    blocks = re.findall(r"<!-- study (\S+).*? -->\n(.*?)<!-- end study -->", page, re.DOTALL)
    assert {name for name, _ in blocks} >= {"int-ext", "examples", "histogram", "difficulty"}
    for name, content in blocks:
        assert name in studies
        figures = re.findall(r"\]\((figures/[^)]+)\)", content)
        assert figures, f"{name} was not run: python tools/make_study_docs.py"
        for figure in figures:
            assert (PROJECT / "docs" / figure).is_file(), figure


def test_every_path_that_the_house_pages_name_is_there() -> None:
    pages = [
        PROJECT / "CONTRIBUTING.md",
        PROJECT / "docs" / "architecture.md",
        *(PROJECT / "docs" / "decisions").glob("*.md"),
    ]
    assert len(pages) > 10
    for page in pages:
        named = r"(?<![\w./])(?:(?:\w+/)+\w+\.pyi?\b|\w+(?:/\w+)+(?=`))"
        for path in re.findall(named, page.read_text()):
            if "NAME" not in path and path != "cache/models":
                roots = (PROJECT, PROJECT / "retrain_cli")
                assert any((root / path).exists() for root in roots), f"{page.name}: {path}"


def test_the_overview_stays_an_overview() -> None:
    """Words, floors and the path of a photo, on two screens; reasons stand in docs/decisions."""
    lines = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 110
    rooms = {path.stem for path in (PROJECT / "docs" / "decisions").glob("*.md")} - {"README"}
    folders = {path.name for path in (PROJECT / "retrain_cli").iterdir() if path.is_dir()}
    assert rooms - folders == {"project"}


def commands_shown(page: str) -> list[list[str]]:
    """The commands of a page's code blocks, as words, without comments and pipes."""
    lines = [line for line in page.splitlines() if line.startswith("    ")]
    shown = [re.split(r"\||&&", line.split("  #")[0]) for line in lines]
    parts = [part.strip() for line in shown for part in line]
    return [shlex.split(part)[1:] for part in parts if part.startswith("retrain ")]


def test_what_the_readme_shows_can_be_typed() -> None:
    shown = commands_shown(README)
    assert len(shown) > 30
    for words in shown:
        command: Any = typer.main.get_command(app)
        for word in words:
            if word.startswith("-"):
                break
            if not hasattr(command, "list_commands"):
                break
            found = command.get_command(None, word)
            assert found is not None, words
            command = found
        parameters = [*command.params, *typer.main.get_command(app).params]
        known = {name for one in parameters for name in (*one.opts, *one.secondary_opts)}
        typed = {word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
        assert typed <= known, words


def test_the_settings_that_the_readme_shows_are_sound(tmp_path: Path) -> None:
    block = re.search(r'    device = "cpu".*?(?=\n\n)', README, re.DOTALL)
    assert block is not None
    path = tmp_path / "retrain.toml"
    path.write_text(textwrap.dedent(block[0]), encoding="utf-8")
    OuterSettings.find(str(path)).check(typer.main.get_command(app))
