"""Run the studies of docs/study.md again and put their figures and tables into it.

python tools/make_study_docs.py --workspace 'Inception v3, mixed8=FOLDER' --workspace 'NAME=FOLDER'

Each experiment stands in the page between `<!-- study NAME OPTIONS -->` and `<!-- end study -->`.
The tool runs `retrain study NAME OPTIONS` in every workspace, whose bottlenecks must be cached, and
writes the command, the figures and the tables between the two marks. All other text is left alone.
`<!-- study NAME OPTIONS | TITLE -->` runs in the workspaces alone whose title begins so, and
$VARIABLES in the options are taken from the environment. Long tables are cut after `--lines`.
Trials that a workspace has finished are not trained again.

--stock 'EfficientNet-Lite 0=FOLDER' runs `study stock` alone in that workspace, by the classifier
that comes with its backbone's weights; its block stands after the last one of `study stock`.
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
STOCK = "stock --repeats 2 --steps 2000 --testing-percentage 30"
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
    arguments = _parse()
    started = time.monotonic()
    for mark in _marks():
        if not arguments.only or mark.split()[0] in arguments.only:
            places = _chosen(mark, arguments.workspace)
            if places:
                _replace(mark, _block(mark, places, arguments.lines))
    if arguments.stock:
        mark = f"{STOCK} | {arguments.stock.title}"
        PAGE.write_text(with_stock_mark(_read(), mark), encoding="utf-8")
        _replace(mark, _block(mark, [arguments.stock], arguments.lines))
    print(f"{PAGE.relative_to(PROJECT)} took {(time.monotonic() - started) / 60:.1f} min")
    return 0


def _marks() -> list[str]:
    return [block["mark"] for block in BLOCK.finditer(_read())]


def with_stock_mark(page: str, mark: str) -> str:
    """The page with an empty block of that mark after its last block of `study stock`."""
    blocks = list(BLOCK.finditer(page))
    if any(block["mark"] == mark for block in blocks):
        return page
    end = max(block.end() for block in blocks if block["mark"].startswith("stock "))
    return f"{page[:end]}\n\n<!-- study {mark} -->\n<!-- end study -->{page[end:]}"


def _chosen(mark: str, places: Sequence[Place]) -> list[Place]:
    """The workspaces that a block is about: all, or those that it names."""
    title = mark.partition("|")[2].strip()
    return [place for place in places if place.title.startswith(title)]


def _read() -> str:
    return PAGE.read_text(encoding="utf-8")


def _replace(mark: str, block: str) -> None:
    """Put a block into the page as it is now: its text may have been worked on meanwhile."""

    def choose(found: re.Match[str]) -> str:
        return block if found["mark"] == mark else found[0]

    PAGE.write_text(BLOCK.sub(choose, _read()), encoding="utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--workspace",
        type=_place,
        action="append",
        default=[],
        help="'TITLE=FOLDER', once for each backbone",
    )
    parser.add_argument("--stock", type=_place, help="'TITLE=FOLDER', for `study stock` alone")
    parser.add_argument("--only", action="append", help="this study only, such as int-ext")
    parser.add_argument("--lines", type=int, default=24, help="lines of a table that are shown")
    arguments = parser.parse_args()
    if not arguments.workspace and not arguments.stock:
        parser.error("give a --workspace, or one for --stock")
    return arguments


def _place(text: str) -> Place:
    title, mark, folder = text.partition("=")
    if not mark or not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"'TITLE=FOLDER' of a workspace, not {text!r}")
    return Place(title, Path(folder))


def _block(mark: str, places: Sequence[Place], lines: int) -> str:
    options = mark.partition("|")[0].strip()
    outcomes = [_run(options, place) for place in places]
    parts = [f"<!-- study {mark} -->", f"    retrain study {options}", _gallery(outcomes)]
    for outcome in outcomes:
        parts += [f"{outcome.place.title}:", _fenced(outcome, lines)]
    return "\n\n".join([*parts, "<!-- end study -->"])


def _run(options: str, place: Place) -> Outcome:
    words = [os.path.expandvars(word) for word in shlex.split(options)]
    figure = f"{FIGURES}/study-{_slug(options)}-{place.slug}.svg"
    target = PAGE.parent / figure
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
