r"""Export runs in every format and precision, and write what the check found into docs/export.md.

    python tools/measure_exports.py --workspace 'MobileNetV2, clothes=FOLDER' ... \
        --results FILE.jsonl [--page docs/export.md]

Of each workspace the latest run is exported by `retrain export` into a folder that is removed
again. Finished exports are lines of the results, so that the tool goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pages import write_between

BEGIN, END = "<!-- exports -->", "<!-- end exports -->"
WAYS: tuple[tuple[str, str | None, str], ...] = (
    ("savedmodel", None, "bytes"),
    ("litert", None, "pixels"),
    ("litert", "float16", "pixels"),
    ("litert", "int8", "pixels"),
    ("onnx", None, "pixels"),
    ("onnx", None, "any-size"),
    ("onnx", "float16", "pixels"),
    ("onnx", "int8", "pixels"),
    ("openvino", None, "pixels"),
    ("openvino", None, "any-size"),
    ("openvino", "float16", "pixels"),
    ("openvino", "int8", "pixels"),
    ("keras", None, "pixels"),
)
REJECTED = 4

Export = dict[str, Any]


def exported(workspace: str, way: tuple[str, str | None, str]) -> Export:
    """What `retrain export --json` says of the one file that it writes.

    Raises:
        RuntimeError: it wrote none.
    """
    form, precision, takes = way
    with tempfile.TemporaryDirectory() as folder:
        command = ["retrain", "--quiet", "--workspace", workspace, "export", "--json"]
        command += ["--format", form, "--input", takes, "-o", str(Path(folder, "export"))]
        command += ["--quantise", precision] if precision else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in (0, REJECTED):
            raise RuntimeError(done.stderr)
        document: Export = json.loads(done.stdout)
        return document


def table(exports: Sequence[Export]) -> str:
    """A line for each run, and under it one for each of its files."""
    lines = [
        "| run | file | MB | largest score difference | other label | accuracy | ms a photo, p95 |",
        "|---|---|---|---|---|---|---|",
    ]
    before = ""
    for one in exports:
        if one["workspace"] != before:
            before, own = one["workspace"], one["run_itself"]
            lines.append(
                f"| {before} | the run itself, {own['precision']} | | | | {own['accuracy']:.1%} | "
                f"{latency(own['latency_ms'])} |"
            )
        (file,) = one["files"]
        name = " ".join((file["format"], *([one["precision"]] * bool(one["precision"]))))
        outcome = ", **rejected**" if file["rejected"] else ""
        lines.append(
            f"| | {name}, {file['input']}{outcome} | {file['bytes'] / 1e6:.1f} | "
            f"{file['largest_difference']:.2g} | {others(file)} of {file['photos']} | "
            f"{file['accuracy']:.1%} | {latency(file['latency_ms'])} |"
        )
    return "\n".join(lines)


def others(file: Export) -> str:
    """How many photos have another label, and how many of them the run is undecided about."""
    ties = {0: "", 1: " (a tie)"}.get(file["ties"], f" ({file['ties']} ties)")
    return f"{file['other_labels']}{ties}"


def latency(found: dict[str, float] | None) -> str:
    """The median and the 95th percentile, in milliseconds."""
    return "" if found is None else f"{found['median']:.1f}, {found['p95']:.1f}"


def main() -> int:
    """Export what is missing, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workspace", action="append", default=[], help="'TITLE=FOLDER'")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--page", type=Path, help="write the table into this page")
    asked = parser.parse_args()
    done: list[Export] = []
    if asked.results.exists():
        done = [json.loads(line) for line in asked.results.read_text().splitlines()]
    kept = {(one["workspace"], one["format"], one["precision"], one["input"]) for one in done}
    for title, folder in (one.split("=", 1) for one in asked.workspace):
        for way in WAYS:
            if (title, *way) in kept:
                continue
            names = dict(zip(("format", "precision", "input"), way, strict=True))
            done.append({"workspace": title, **names, **exported(folder, way)})
            with asked.results.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
    if asked.page is None:
        print(table(done))
    else:
        write_between(asked.page, BEGIN, END, table(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
