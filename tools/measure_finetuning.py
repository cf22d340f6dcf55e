r"""What fine-tuning is worth: `finetune` with one setting after another, on fresh random splits.

    python tools/measure_finetuning.py --weights FILE --folder WORK --results FILE.jsonl \
        --set flowers=PHOTOS/flowers:48:8:24 --set caltech=PHOTOS/caltech101:8:2:20 \
        --try default= --try gentle=learning_rate:0.0001 --seeds 101,102,103 [--minutes 3]
    python tools/measure_finetuning.py --results FILE.jsonl --page docs/finetuning.md

A set is a folder of classes and how many photos of each train, validate and test; a second folder
after a plus sign gives the test photos. Photos of one slide (`NAME_nohash_N.jpg`) stay together.
For each seed the photos are dealt anew, and what the command does is done on them, guard included.
Each trial is a line of the results as soon as it is done: the tool goes on where it was stopped,
and with `--minutes` it begins no trial later than that.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pages import write_between
from scipy.stats import t as student

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.tuning.finetune import finetune
from retrain_cli.workflows.tuning.finetune_request import FinetuneRequest
from retrain_cli.workspace import Workspace

FOLDERS = ("train", "val", "test")
SUFFIXES = (".jpg", ".jpeg", ".png")
GROUP = "_nohash_"
LEVEL = 0.95
BEGIN, END = "<!-- recipes -->", "<!-- end recipes -->"

Trial = dict[str, Any]
Dealt = dict[str, dict[str, list[Path]]]
"""Photos by split, then by class."""


@dataclass(frozen=True)
class PhotoSet:
    """Photos to deal.

    Attributes:
        name: for people.
        photos: folder of the classes.
        tests: folder whose photos test, all of them; None where test photos are dealt, too.
        counts: how many photos of each class train, validate and test at most.
    """

    name: str
    photos: Path
    tests: Path | None
    counts: tuple[int, int, int]

    @classmethod
    def parse(cls, text: str) -> PhotoSet:
        """Of `NAME=FOLDER[+FOLDER]:TRAINING:VALIDATION:TEST`."""
        name, _, rest = text.partition("=")
        folders, *counts = rest.split(":")
        first, _, second = folders.partition("+")
        training, validation, test = map(int, counts)
        tests = Path(second) if second else None
        return cls(name, Path(first), tests, (training, validation, test))

    def dealt(self, seed: int) -> Dealt:
        """The photos of each split and class."""
        parts: Dealt = {name: {} for name in FOLDERS}
        shares = _dealt_groups(self, seed)
        for folder in _classes(self.photos):
            photos = _photos(folder)
            random.Random(f"{seed} {folder.name}").shuffle(photos)
            at = 0
            for part, count in zip(FOLDERS, self.counts, strict=True):
                if shares:
                    some = [one for one in photos if shares[_group(one)] == part][:count]
                else:
                    some, at = photos[at : at + count], at + count
                parts[part][folder.name] = some
        if self.tests is not None:
            parts["test"] = {one.name: _photos(one) for one in _classes(self.tests)}
        return parts


def _classes(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_dir())


def _photos(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.suffix.lower() in SUFFIXES)


def _group(photo: Path) -> str:
    return photo.name.partition(GROUP)[0]


def _dealt_groups(photos: PhotoSet, seed: int) -> dict[str, str]:
    """The split of each slide; nothing where photos belong to none."""
    every = [one for folder in _classes(photos.photos) for one in _photos(folder)]
    if not any(GROUP in one.name for one in every):
        return {}
    groups = sorted({_group(one) for one in every})
    random.Random(seed).shuffle(groups)
    edges = (0.4, 0.55)  # of the slides: these many train, validate, and the others test
    return {
        group: FOLDERS[sum(place >= edge * len(groups) for edge in edges)]
        for place, group in enumerate(groups)
    }


def linked(photos: PhotoSet, seed: int, folder: Path) -> Path:
    """A folder of train, val and test for one seed; links to the photos."""
    root = folder / "photos" / f"{photos.name}-{seed}"
    if not root.is_dir():
        for part, classes in photos.dealt(seed).items():
            for name, some in classes.items():
                place = root / part / name
                place.mkdir(parents=True)
                for one in some:
                    (place / one.name).symlink_to(one.resolve())
    return root


def setting_of(text: str) -> tuple[str, dict[str, Any]]:
    """Of `NAME=FIELD:VALUE,FIELD:VALUE`, fields of `TuningConfig`; VALUE is JSON or a word."""
    name, _, rest = text.partition("=")
    pairs = (one.split(":", 1) for one in rest.split(",") if one)
    return name, {field: _value(value.replace(";", ":")) for field, value in pairs}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def measured(
    photos: PhotoSet, seed: int, settings: Mapping[str, Any], weights: Path, folder: Path
) -> Trial:
    """One fine-tuning, from bottlenecks to figures on test photos."""
    workspace = Workspace(folder / f"work-{photos.name}")
    spec = BackboneSpec("mobilenet_v2", weights=str(weights))
    root = linked(photos, seed, folder)
    fill_cache(BottleneckRequest(root, spec, "none", layout="splits"), workspace)
    started, busy = time.monotonic(), time.process_time()
    name = f"trial-{time.time_ns()}"
    tuning = replace(TuningConfig(seed=seed), **settings)
    summary = finetune(FinetuneRequest(tuning, name=name), workspace)
    found = summary.to_dict()
    weights_of_run = summary.run.folder / "backbone.safetensors"
    weights_of_run.unlink(missing_ok=True)  # 9 MB a trial
    return {
        "head": found["top1"]["test"]["head"],
        "kept": found["top1"]["test"]["kept"],
        "validation": found["top1"]["validation"],
        "won": summary.won,
        "best_epoch": summary.result.best_epoch,
        "learning_rate": summary.learning_rate,
        "photos": {
            name: row["images"] for name, row in found["metrics"].items() if "images" in row
        },
        "seconds": time.monotonic() - started,
        "processor_seconds": time.process_time() - busy,
        "stages": found["seconds"],
    }


def trials(results: Path) -> list[Trial]:
    """What was measured so far."""
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text().splitlines()]


def missing(
    done: Sequence[Trial], sets: Sequence[PhotoSet], tried: Sequence[str], seeds: Sequence[int]
) -> Iterator[tuple[str, int, PhotoSet]]:
    """What is to be measured: setting after setting, seed after seed, set after set."""
    kept = {(one["setting"], one["seed"], one["set"]) for one in done}
    for name in tried:
        for seed in seeds:
            yield from ((name, seed, one) for one in sets if (name, seed, one.name) not in kept)


def table(done: Sequence[Trial]) -> str:
    """Test top-1 of the head alone, and the points that each setting gained, by set."""
    cells: dict[str, dict[str, list[Trial]]] = defaultdict(lambda: defaultdict(list))
    for one in done:
        cells[one["set"]][one["setting"]].append(one)
    lines = ["| photos | setting | splits | head alone | kept | gain in points | tuned kept |"]
    lines.append("|---|---|---|---|---|---|---|")
    for photos, settings in cells.items():
        for setting, some in settings.items():
            head = 100 * float(np.mean([one["head"] for one in some]))
            kept = 100 * float(np.mean([one["kept"] for one in some]))
            gains = [100 * (one["kept"] - one["head"]) for one in some]
            won = sum(one["won"] for one in some)
            lines.append(
                f"| {photos} | {setting} | {len(some)} | {head:.1f} | {kept:.1f} | "
                f"{_interval(gains)} | {won} of {len(some)} |"
            )
    return "\n".join(lines)


def _interval(gains: Sequence[float]) -> str:
    mean = float(np.mean(gains))
    if len(gains) < 2:
        return f"{mean:+.1f}"
    error = float(np.std(gains, ddof=1)) / len(gains) ** 0.5
    half = float(student.ppf((1 + LEVEL) / 2, len(gains) - 1)) * error
    each = ", ".join(f"{one:+.1f}" for one in gains)
    return f"{mean:+.1f} ± {half:.1f}: {each}"


def main() -> None:
    """Measure what is missing, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="finished trials, JSON lines")
    parser.add_argument("--set", action="append", default=[], type=PhotoSet.parse, dest="sets")
    parser.add_argument("--try", action="append", default=[], type=setting_of, dest="tried")
    parser.add_argument("--seeds", default="101,102,103")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--folder", type=Path, help="where links and workspaces go")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--page", type=Path, help="write the table into this page")
    chosen = parser.parse_args()
    ends = time.monotonic() + 60 * chosen.minutes
    tried, seeds = dict(chosen.tried), [int(one) for one in chosen.seeds.split(",")]
    for name, seed, photos in missing(trials(chosen.results), chosen.sets, list(tried), seeds):
        if time.monotonic() > ends:
            raise SystemExit(3)
        found = measured(photos, seed, tried[name], chosen.weights, chosen.folder)
        line = {"setting": name, "seed": seed, "set": photos.name, "tuning": tried[name], **found}
        with chosen.results.open("a") as file:
            file.write(json.dumps(line) + "\n")
    text = table(trials(chosen.results))
    if chosen.page is None:
        print(text)
    else:
        write_between(chosen.page, BEGIN, END, text)


if __name__ == "__main__":
    main()
