"""Write the table of the 1000 ImageNet classes from the class lists inside the timm package.

    pip download --no-deps timm
    python tools/make_imagenet_classes.py timm-*.whl          # writes the table
    python tools/make_imagenet_classes.py timm-*.whl --check  # exits 1 if it is stale

The order is that of sorted WordNet ids, which is the order of Keras's ImageNet classifiers.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import zipfile
from pathlib import Path

from retrain_cli.datasets.source_classes import (
    SYNONYM_SEPARATOR,
    TABLE_HEADER,
    SourceClass,
    index_classes,
)

TABLE = Path(__file__).parents[1] / "retrain_cli" / "datasets" / "data" / "imagenet_classes.csv"
SYNSETS = "imagenet_synsets.txt"
LEMMAS = "imagenet_synset_to_lemma.txt"
N_CLASSES = 1000


def main() -> int:
    """Write the table, or with `--check` compare it; return the exit code."""
    arguments = parse_arguments()
    classes = build_classes(
        read_list(arguments.source, SYNSETS), read_list(arguments.source, LEMMAS)
    )
    text = render(classes)
    if arguments.check:
        stale = not TABLE.exists() or TABLE.read_text(encoding="utf-8") != text
        print(f"{TABLE} is {'stale: run this without --check' if stale else 'up to date'}")
        return int(stale)
    TABLE.write_text(text, encoding="utf-8", newline="\n")
    print(f"wrote {len(classes)} classes to {TABLE}")
    for name, found in index_classes("imagenet", classes).ambiguous_names().items():
        print(f"ambiguous: {name} = {', '.join(one.wnid for one in found)}")
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="timm wheel, or a folder with its two lists")
    parser.add_argument("--check", action="store_true", help="exit 1 if the table is stale")
    return parser.parse_args()


def read_list(source: Path, name: str) -> list[str]:
    """Lines of one of timm's lists, from the wheel or from a folder."""
    if source.is_dir():
        return (source / name).read_text(encoding="utf-8").splitlines()
    with zipfile.ZipFile(source) as wheel:
        return wheel.read(f"timm/data/_info/{name}").decode("utf-8").splitlines()


def build_classes(synsets: list[str], lemmas: list[str]) -> list[SourceClass]:
    """Join the 1000 WordNet ids with their synonyms.

    Raises:
        SystemExit: the lists are not what they were taken for.
    """
    if len(set(synsets)) != N_CLASSES or synsets != sorted(synsets):
        raise SystemExit(f"{SYNSETS} must hold {N_CLASSES} different WordNet ids in sorted order")
    names = dict(line.split("\t", 1) for line in lemmas if line)
    return [
        SourceClass(index, wnid, tuple(names[wnid].split(", ")))
        for index, wnid in enumerate(synsets)
    ]


def render(classes: list[SourceClass]) -> str:
    """The table as CSV text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(TABLE_HEADER)
    writer.writerows((one.index, one.wnid, SYNONYM_SEPARATOR.join(one.synonyms)) for one in classes)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
