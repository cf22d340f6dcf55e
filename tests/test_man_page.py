"""The man page names every command and option; the completion files complete."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from helpers import PROJECT
from make_cli_docs import is_plumbing
from make_man_page import COMPLETIONS, MAN_PAGE, escaped, man_page, options

from retrain_cli.cli.main import app

MACROS = {".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".I", ".nh", ".ad", '.\\"'}


def test_the_page_is_not_stale_and_has_every_option_of_the_main_job() -> None:
    page = man_page()
    assert (PROJECT / MAN_PAGE).read_text(encoding="utf-8") == page
    root = typer.main.get_command(app)
    for name in ("bottlenecks", "train", "eval", "label"):
        command = root.get_command(None, name)  # type: ignore[attr-defined]
        section = page.partition(f".SS retrain {name}")[2].partition(".SS ")[0]
        assert "\n".join(options(command)) in section
        for one in command.params:
            if one.param_type_name == "option" and not is_plumbing(one):
                assert escaped(one.opts[0]) in section, one.name


def test_only_macros_begin_with_a_dot_and_no_mark_is_left() -> None:
    lines = man_page().splitlines()
    starts = {line.split()[0] for line in lines if line.startswith((".", "'"))}
    assert starts <= MACROS
    assert not [line for line in lines if re.search(r"\[/?(bold|dim|cyan)\]", line)]
    assert escaped(".hidden -x \\n") == r"\&.hidden \-x \(rsn"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_completion_of_bash_completes_a_command() -> None:
    script = f"""
        source {PROJECT / COMPLETIONS["bash"]}
        retrain() {{ {sys.executable} -m retrain_cli "$@"; }}
        COMP_WORDS=(retrain bottle) COMP_CWORD=1
        _retrain_completion {Path(sys.executable).parent / "retrain"}
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert done.stdout.split() == ["bottlenecks"]


def test_zsh_finds_its_mark_in_the_first_line() -> None:
    assert (PROJECT / COMPLETIONS["zsh"]).read_text().startswith("#compdef retrain\n")
