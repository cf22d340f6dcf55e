"""How `retrain advise` sees several sets, and whether its advice was right in `study strategies`.

python tools/measure_advice.py --top FILE --seen 'flowers=WORKSPACE' --seen 'cells=WORKSPACE' \
    --studied flowers=FILE.json --studied cells=FILE.json

Each workspace has the bottlenecks of a set; each FILE.json is what `retrain study strategies
--json` said of that set. Both tables are written into docs/study.md between their marks. For the
figures of another backbone `--beside 'flowers=WORKSPACE'` adds a row to the first one.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pages import write_between

from retrain_cli.studies.strategies.strategy_tables import IN_WORDS
from retrain_cli.workflows.transfer.advise import Advice, AdviceRequest, advise
from retrain_cli.workflows.transfer.scenarios import AdviceRecord, is_large, scenario_of
from retrain_cli.workspace import Workspace

PAGE = Path(__file__).resolve().parent.parent / "docs" / "study.md"
SEEN = ("<!-- similarity -->", "<!-- end similarity -->")
JUDGED = ("<!-- advice -->", "<!-- end advice -->")


def main() -> int:
    """Write the tables, and say what the record is."""
    arguments = _parse()
    seen = {name: _advice(folder, arguments.top) for name, folder in arguments.seen}
    rows = list(seen.items())
    rows += [(name, _advice(folder, None)) for name, folder in arguments.beside]
    write_between(PAGE, *SEEN, similarity_table(rows))
    studied = [
        (name, _is_similar(seen[name]), row)
        for name, path in arguments.studied
        for row in _winners(path)
    ]
    text, record = advice_table(studied)
    write_between(PAGE, *JUDGED, text)
    print(f"ADVICE_RECORD = {record!r}")
    return 0


def _winners(path: Path) -> list[dict[str, Any]]:
    """Rows of the winners, each with the strategies that were run."""
    said = json.loads(path.read_text(encoding="utf-8"))
    names = {words: name for name, words in IN_WORDS.items()}
    run = {names[row["strategy"]]: None for row in said["strategies"]}
    return [{**row, "run": list(run)} for row in said["winners"]]


def _is_similar(advice: Advice) -> bool:
    return advice.familiarity is not None and advice.familiarity.is_similar


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--top", type=Path, help="weights file of the backbone with its classifier")
    for name in ("seen", "beside", "studied"):
        parser.add_argument(f"--{name}", type=_named, action="append", default=[])
    return parser.parse_args()


def _named(text: str) -> tuple[str, Path]:
    name, mark, path = text.partition("=")
    if not mark or not Path(path).exists():
        raise argparse.ArgumentTypeError(f"'NAME=PATH', not {text!r}")
    return name, Path(path)


def _advice(folder: Path, top: Path | None) -> Advice:
    return advise(AdviceRequest(top), Workspace(folder))


def similarity_table(rows: list[tuple[str, Advice]]) -> str:
    """Sets, those that are most like the original photos first."""
    lines = [
        "| photos | backbone | prototype stands out | its distance | confidence "
        "| same answer in a class | between classes | INT | counts as |",
        "|---|---|---|---|---|---|---|---|---|",
    ]

    def place(row: tuple[str, Advice]) -> tuple[str, float]:
        found = row[1].familiarity
        return row[1].backbone, -(found.prominence if found else 0.0)

    firsts = list(dict.fromkeys(advice.backbone for _, advice in rows))
    for name, advice in sorted(rows, key=lambda row: (firsts.index(row[1].backbone), place(row))):
        found = advice.familiarity
        if found is None:
            sys.exit(f"{name}: {advice.why_not}")
        cells = (
            name,
            advice.backbone.partition(" (")[0],
            f"{found.prominence:.1f} SD",
            f"{found.distance:.2f}",
            f"{found.confidence:.0%}",
            f"{found.within:.0%}",
            f"{found.between:.0%}",
            f"{advice.int_share:.0%}",
            "similar" if found.is_similar else "different",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def advice_table(cases: list[tuple[str, bool, dict[str, Any]]]) -> tuple[str, AdviceRecord]:
    """Each set and size: what was advised, what was the best, and how often that was the same."""
    lines = [
        "| photos | a class | scenario | advised | compared | best | its top-1 | ahead of the next "
        "| level with the best, cheapest first | the advice |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    verdicts, sizes = [], [0]
    for name, similar, row in cases:
        scenario = scenario_of(large=is_large(row["photos"]), similar=similar)
        if scenario.strategy not in row["run"]:
            continue  # it says nothing of the advice
        sizes.append(int(row["photos"]))
        verdicts.append(_verdict(scenario.strategy, row))
        cells = (
            name,
            f"{row['photos']}",
            f"{scenario.number}",
            scenario.strategy,
            ", ".join(row["run"]),
            row["winner"],
            _points(row["top-1"]),
            _points(row["margin"]),
            row["level, cheapest first"],
            verdicts[-1],
        )
        lines.append(f"| {' | '.join(cells)} |")
    won, level = verdicts.count("won"), verdicts.count("level")
    record = AdviceRecord(len(verdicts), won, level, max(sizes))
    return "\n".join(lines), record


def _verdict(advised: str, row: dict[str, Any]) -> str:
    if advised == row["winner"]:
        return "won"
    return "level" if advised in row["level, cheapest first"].split(", ") else "lost"


def _points(mean: dict[str, Any]) -> str:
    half = "" if mean["low"] is None else f" ± {100 * (mean['high'] - mean['low']) / 2:.1f}"
    return f"{100 * mean['mean']:.1f}{half}"


if __name__ == "__main__":
    sys.exit(main())
