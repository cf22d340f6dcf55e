"""Write the table of docs/backbones.md from what the package knows of each backbone.

    python tools/make_backbone_docs.py [--check]

The table stands between two marks; all other text is left alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from retrain_cli.backbones.published import FIGURES, MEASURED_ON, BackboneFigures
from retrain_cli.backbones.table import KERAS_BACKBONES, SUCCESSOR, KerasBackbone

PAGE = Path(__file__).resolve().parent.parent / "docs" / "backbones.md"
BEGIN, END = "<!-- table of backbones -->", "<!-- end of the table -->"
COLUMNS = ("backbone", "px", "width", "params", "top-1", "source", "float32", "8 bits", "weights")


def main() -> int:
    """Write the page, or say whether it is stale."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether it is stale")
    is_stale = with_table(PAGE.read_text(encoding="utf-8")) != PAGE.read_text(encoding="utf-8")
    if parser.parse_args().check:
        if is_stale:
            print("docs/backbones.md is stale: make docs", file=sys.stderr)
        return int(is_stale)
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def with_table(page: str) -> str:
    """The page with the table of today."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{_table()}\n\n{END}{after}"


def _table() -> str:
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(_row, KERAS_BACKBONES.values())]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    told = (
        "params: numbers in the weights, without the classifier. top-1: on ImageNet, as the source "
        "publishes it. float32, 8 bits: photos per processor second relative to Inception v3 in "
        f"float32, in 8 bits; measured on {MEASURED_ON}, by `tools/measure_backbones.py`; - "
        "where nobody has measured it yet."
    )
    return "\n".join([*lines, "", told])


def _row(row: KerasBackbone) -> tuple[str, ...]:
    known = FIGURES[row.name]
    widths = sorted({variant.width for variant in row.variants})
    return (
        f"`{row.name}`",
        str(row.input_size),
        " to ".join(str(width) for width in dict.fromkeys((widths[0], widths[-1]))),
        f"{known.parameters / 1e6:.1f}M",
        f"{known.top1:.1%}",
        known.source,
        *_speeds(known),
        _weights(row),
    )


def _speeds(known: BackboneFigures) -> tuple[str, ...]:
    speeds = (known.speed, known.speed_8_bits)
    return tuple("-" if speed is None else f"{speed:.2g}x" for speed in speeds)


def _weights(row: KerasBackbone) -> str:
    if not row.variants[0].package:
        return "download"
    return "come along" if row.name == SUCCESSOR else "extra `[offline]`"


if __name__ == "__main__":
    sys.exit(main())
