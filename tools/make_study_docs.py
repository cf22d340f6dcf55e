"""Run the studies of docs/study.md again and put their figures and tables into it.

    python tools/make_study_docs.py --folder WORK [--only STUDY] [--quick]

Each experiment stands in the page between `<!-- study NAME OPTIONS | TITLE; TITLE -->` and
`<!-- end study -->`. The tool runs `retrain study NAME OPTIONS` in the workspaces of these titles,
folders of WORK that `tools/make_study_workspaces.py` makes, and writes the command, the figures and
the tables between the two marks. All other text is left alone; $VARIABLES in the options are taken
from the environment. Long tables are cut after `--lines`. Trials that a workspace has finished are
not trained again. With `--quick` all studies run with few repeats and short trainings, to see that
they work and how they look: the page and its figures go to build/study and are not for readers.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "study.md"
FIGURES = "figures"
QUICK_PAGE = PROJECT / "build" / "study" / "study.md"
QUICK = {
    "source-target": "--quick",
    "freeze": "--quick",
    "strategies": "--sizes 5,10 --repeats 2 --epochs 1 --steps 300",
    "few-shot": "--repeats 1 --steps 300 --classes 3",
    "cost": "--repeats 1 --steps 300 --epochs 1",
}
"""What makes a study a short one; of an option that is given twice the last one counts."""
QUICK_OTHERS = "--repeats 2 --steps 300"
BLOCK = re.compile(r"<!-- study (?P<mark>[^\n]*?) -->\n.*?<!-- end study -->", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """A workspace whose bottlenecks are of one backbone."""

    title: str
    folder: Path

    @property
    def slug(self) -> str:
        """Its title as part of a file name."""
        return _slug(self.title)


@dataclass(frozen=True)
class Outcome:
    """What one command said, and the picture that it drew."""

    place: Place
    figure: str
    table: str
    notes: tuple[str, ...]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def main() -> int:
    """Write the page."""
    asked = _parse()
    page = _quick_page() if asked.quick else PAGE
    started = time.monotonic()
    for mark in [block["mark"] for block in BLOCK.finditer(_read(page))]:
        if not asked.only or mark.split()[0] in asked.only:
            places = [Place(title, asked.folder / title) for title in titles(mark)]
            missing = [place.title for place in places if not place.folder.is_dir()]
            if missing:
                print(f"left as it is for want of {'; '.join(missing)}: {mark}", file=sys.stderr)
            else:
                _replace(page, mark, _block(page, mark, places, asked))
    print(f"{page.relative_to(PROJECT)} took {(time.monotonic() - started) / 60:.1f} min")
    return 0


def titles(mark: str) -> list[str]:
    """The workspaces that a block is about."""
    return [title.strip() for title in mark.partition("|")[2].split(";")]


def quick_options(options: str) -> str:
    """The options of a study, and those that make it a short one."""
    return f"{options} {QUICK.get(options.split(maxsplit=1)[0], QUICK_OTHERS)}"


def _quick_page() -> Path:
    """A copy of the page to write into."""
    QUICK_PAGE.parent.mkdir(parents=True, exist_ok=True)
    QUICK_PAGE.write_text(_read(PAGE), encoding="utf-8")
    return QUICK_PAGE


def _read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _replace(page: Path, mark: str, block: str) -> None:
    """Put a block into the page as it is now: its text may have been worked on meanwhile."""

    def choose(found: re.Match[str]) -> str:
        return block if found["mark"] == mark else found[0]

    page.write_text(BLOCK.sub(choose, _read(page)), encoding="utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="of the workspaces")
    parser.add_argument("--only", action="append", help="this study only, such as int-ext")
    parser.add_argument("--quick", action="store_true", help="short, into build/study")
    parser.add_argument("--lines", type=int, default=70, help="lines of a table that are shown")
    return parser.parse_args()


def _block(page: Path, mark: str, places: Sequence[Place], asked: argparse.Namespace) -> str:
    options = mark.partition("|")[0].strip()
    if asked.quick:
        options = quick_options(options)
    outcomes = [_run(page, options, place) for place in places]
    parts = [f"<!-- study {mark} -->", f"    retrain study {options}", _gallery(outcomes)]
    for outcome in outcomes:
        parts += [f"{outcome.place.title}:", _fenced(outcome, asked.lines)]
    return "\n\n".join([*parts, "<!-- end study -->"])


def _run(page: Path, options: str, place: Place) -> Outcome:
    words = [os.path.expandvars(word) for word in shlex.split(options)]
    figure = f"{FIGURES}/study-{_slug(options)}-{place.slug}.svg"
    target = page.parent / figure
    target.parent.mkdir(exist_ok=True)
    command = ["retrain", "--workspace", str(place.folder), "study", *words, "--plot", str(target)]
    print(shlex.join(command), flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    lines = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    notes = tuple(line.removeprefix("note: ") for line in lines)
    return Outcome(place, figure, done.stdout, tuple(one for one in notes if not _is_local(one)))


def _is_local(note: str) -> bool:
    """Whether it names places of the machine that the page is made on."""
    return note.startswith("to take it: ")


def _gallery(outcomes: Sequence[Outcome]) -> str:
    cells = [f"![{outcome.place.title}]({outcome.figure})" for outcome in outcomes]
    titles = [outcome.place.title for outcome in outcomes]
    rows = [titles, ["---"] * len(titles), cells]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _fenced(outcome: Outcome, lines: int) -> str:
    table = outcome.table.rstrip().splitlines()
    shown = table if len(table) <= lines else [*table[:lines], f"... {len(table) - lines} more"]
    notes = "".join(f"- {note}\n" for note in outcome.notes)
    text = "\n".join(shown)
    return f"```text\n{text}\n```\n\n{notes}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
