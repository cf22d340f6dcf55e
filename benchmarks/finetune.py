"""`retrain finetune` against Keras's `fit` from JPEG files: the same photos, layers and batches.

    python -m benchmarks.finetune --photos PHOTOS --weights FILE --folder WORK --results FILE.jsonl
    python -m benchmarks.finetune ... --network inception_v3 --images 200 --views 4

Each contestant is a process of its own, so that start-up counts, and processor seconds are those of
that process and its children:

    fit          Keras: decodes in each epoch, trains the same layers with a new softmax by the
                 same optimiser, rate and schedule; with views its random layers distort each photo
    bottlenecks  `retrain bottlenecks` in an empty workspace
    first        `retrain finetune` after it
    later        `retrain finetune` with another learning rate

For each seed other photos are drawn, a tenth of them for validation; all that are not drawn test
both. Each contestant is a line of the results as soon as it is done; the next call goes on there,
and `--most` ends it after so many.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTESTANTS = ("fit", "bottlenecks", "first", "later")
LATER_RATE = "0.0003"

_NETWORKS = """
import sys, keras
def network(name, weights):
    if name == "mobilenet_v2":
        base = keras.applications.MobileNetV2(
            include_top=False, weights=None, input_shape=(224, 224, 3))
        cut = "block_13_project_BN"
    else:
        base = keras.applications.InceptionV3(
            include_top=False, weights=None, input_shape=(299, 299, 3))
        base = keras.Model(base.input, base.get_layer("mixed8").output)
        cut = "mixed7"
    base.load_weights(weights)
    return base, cut
def photos(folder, side, shuffle):
    return keras.utils.image_dataset_from_directory(
        folder, image_size=(side, side), batch_size=32, shuffle=shuffle, seed=0)
"""

FIT = (
    _NETWORKS
    + """
folder, name, weights, epochs, views, saved = sys.argv[1:7]
base, cut = network(name, weights)
names = [layer.name for layer in base.layers]
for place, layer in enumerate(base.layers):
    later = place > names.index(cut)
    layer.trainable = later and not isinstance(layer, keras.layers.BatchNormalization)
side = base.input_shape[1]
train, judge = photos(folder + "/train", side, True), photos(folder + "/val", side, False)
count = len(train.class_names)
steps = len(train) * int(epochs)
pixels = keras.Input((side, side, 3))
x = pixels
if views != "0":
    layers = keras.layers
    for layer in (layers.RandomFlip("horizontal"), layers.RandomZoom((-0.17, -0.09)),
                  layers.RandomTranslation(0.05, 0.05), layers.RandomBrightness(0.1)):
        x = layer(x)
x = base(x / 127.5 - 1)
x = keras.layers.GlobalAveragePooling2D()(x)
model = keras.Model(pixels, keras.layers.Dense(count)(x))
warm = round(0.1 * steps)
rates = keras.optimizers.schedules.CosineDecay(
    5e-4 / (warm + 1), steps - warm, warmup_target=5e-4, warmup_steps=warm)
model.compile(keras.optimizers.AdamW(rates), jit_compile=False, metrics=["accuracy"],
              loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(train.prefetch(2), validation_data=judge, epochs=int(epochs), verbose=0)
model.save_weights(saved)
"""
)

JUDGE = (
    _NETWORKS
    + """
folder, name, weights, saved = sys.argv[1:5]
base, _ = network(name, weights)
side = base.input_shape[1]
test = photos(folder + "/test", side, False)
pixels = keras.Input((side, side, 3))
x = keras.layers.GlobalAveragePooling2D()(base(pixels / 127.5 - 1))
model = keras.Model(pixels, keras.layers.Dense(len(test.class_names))(x))
model.load_weights(saved)
model.compile(metrics=["accuracy"],
              loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
print(model.evaluate(test, verbose=0)[1])
"""
)


@dataclass(frozen=True)
class Contest:
    """What is compared.

    Attributes:
        photos: folder of classes.
        weights: of the network.
        network: mobilenet_v2, its last three blocks, or inception_v3, its mixed8.
        images: how many photos train and validate.
        epochs: how many.
        views: how many of each training photo; with some, Keras distorts each photo anew.
        seed: of the draw of the photos.
    """

    photos: Path
    weights: Path
    network: str
    images: int
    epochs: int
    views: int
    seed: int

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.network}-{self.images}-{self.epochs}-{self.views}-{self.seed}"

    def drawn(self, folder: Path) -> Path:
        """The photos: train, val and test, with links to them."""
        root = folder / f"photos-{self.images}-{self.seed}"
        if root.is_dir():
            return root
        classes = {one.name: sorted(one.iterdir()) for one in self.photos.iterdir() if one.is_dir()}
        total = sum(map(len, classes.values()))
        for name, every in classes.items():
            random.Random(f"{self.seed} {name}").shuffle(every)
            taken = round(len(every) * self.images / total)
            judged = round(taken / 10)
            parts = {"val": every[:judged], "train": every[judged:taken], "test": every[taken:]}
            for part, some in parts.items():
                (root / part / name).mkdir(parents=True)
                for path in some:
                    (root / part / name / path.name).symlink_to(path.resolve())
        return root


def measured(command: Sequence[str]) -> dict[str, float]:
    """Wall clock and processor seconds of a command.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.monotonic() - started, "processor_seconds": used}


def compete(contest: Contest, contestant: str, folder: Path) -> dict[str, Any]:
    """One contestant: what it took, and its top-1 on the test photos, 0 to 1."""
    photos, work = contest.drawn(folder), folder / f"work-{contest.name}"
    os.environ["RETRAIN_WORKSPACE"] = str(work)
    retrain = str(Path(sys.executable).with_name("retrain"))
    network = [contest.network, str(contest.weights)]
    if contestant == "fit":
        saved = str(folder / f"fit-{contest.name}.weights.h5")
        how = [str(contest.epochs), str(contest.views), saved]
        found = measured([sys.executable, "-c", FIT, str(photos), *network, *how])
        judge = [sys.executable, "-c", JUDGE, str(photos), *network, saved]
        text = subprocess.run(judge, check=True, capture_output=True, text=True).stdout
        return {**found, "top1": float(text.split()[-1])}
    if contestant == "bottlenecks":
        layer = ["--layer", "mixed8"] if contest.network == "inception_v3" else []
        command = ["bottlenecks", str(photos), "--backbone", network[0], "--weights", network[1]]
        # The test photos are none of this contest: both see them when all is measured.
        trained = photos.with_name(f"{photos.name}-trained")
        trained.mkdir(exist_ok=True)
        for part in ("train", "val"):
            if not (trained / part).exists():
                (trained / part).symlink_to(photos / part)
        command[1] = str(trained)
        return measured([retrain, *command, *layer, "--layout", "splits"])
    trainable = "from:mixed7" if contest.network == "inception_v3" else "last:3"
    command = ["finetune", "--trainable", trainable, "--epochs", str(contest.epochs)]
    command += ["--views", str(contest.views), "--name", contestant]
    command += ["--learning-rate", "0.0005" if contestant == "first" else LATER_RATE]
    return {**measured([retrain, *command]), "top1": _top1(retrain, contestant, photos / "test")}


def _top1(retrain: str, run: str, photos: Path) -> float:
    """Share of the photos that a run labels with the name of their folder."""
    command = [retrain, "label", "--run", run, "--top-k", "1", str(photos)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    right = [bool(row["labels"][0]["label"] == Path(row["path"]).parent.name) for row in rows]
    return sum(right) / len(right)


def rows_of(results: Path) -> list[dict[str, Any]]:
    """What was measured so far."""
    return [json.loads(line) for line in results.read_text().splitlines()]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """How many times as long `fit` takes, by the clock and in processor time, and accuracies."""
    lines = ["| contest | seeds | | first | with bottlenecks | later | fit top-1 | ours | gap |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    groups: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        seeds = groups.setdefault(row["contest"].rpartition("-")[0], {})
        seeds.setdefault(row["seed"], {})[row["contestant"]] = row
    for name, seeds in groups.items():
        whole = [one for one in seeds.values() if len(one) == len(CONTESTANTS)]
        if not whole:
            continue
        top1 = [
            100 * statistics.mean(one[who]["top1"] for one in whole) for who in ("fit", "first")
        ]
        for unit in ("seconds", "processor_seconds"):
            ratios = [_ratios({who: one[who][unit] for who in CONTESTANTS}) for one in whole]
            cells = [f"{statistics.median(some):.1f}" for some in zip(*ratios, strict=True)]
            told = f"{top1[0]:.1f} | {top1[1]:.1f} | {top1[1] - top1[0]:+.1f}"
            lines.append(f"| {name} | {len(whole)} | {unit} | {' | '.join(cells)} | {told} |")
    return "\n".join(lines)


def _ratios(took: dict[str, float]) -> tuple[float, float, float]:
    with_bottlenecks = took["first"] + took["bottlenecks"]
    return took["fit"] / took["first"], took["fit"] / with_bottlenecks, took["fit"] / took["later"]


def main() -> None:
    """Measure what is missing, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="where links and workspaces go")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--network", default="mobilenet_v2")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--views", type=int, default=0)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--most", type=int, default=1000)
    chosen = parser.parse_args()
    chosen.results.touch()
    left = chosen.most
    for seed in map(int, chosen.seeds.split(",")):
        contest = Contest(
            chosen.photos,
            chosen.weights,
            chosen.network,
            chosen.images,
            chosen.epochs,
            chosen.views,
            seed,
        )
        done = {(row["contest"], row["contestant"]) for row in rows_of(chosen.results)}
        for contestant in CONTESTANTS:
            if (contest.name, contestant) in done:
                continue
            if not left:
                raise SystemExit(3)
            left -= 1
            found = compete(contest, contestant, chosen.folder)
            row = {"contest": contest.name, "seed": seed, "contestant": contestant, **found}
            with chosen.results.open("a") as file:
                file.write(json.dumps(row) + "\n")
    print(table(rows_of(chosen.results)))


if __name__ == "__main__":
    main()
