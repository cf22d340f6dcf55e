"""`retrain finetune` against Keras's `fit` from JPEG files, with the same layers and batches.

    python -m benchmarks.finetune --photos PHOTOS --weights FILE --images 1000 --epochs 10

Each contestant is a process of its own, so that start-up counts, and processor seconds are those
of that process. The bottlenecks that the first phase needs are computed beforehand, and told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_FIT = """
import sys, keras
photos, weights, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
load = lambda part: keras.utils.image_dataset_from_directory(
    photos, validation_split=0.1, subset=part, seed=0, image_size=(224, 224), batch_size=32)
train, judge = load("training"), load("validation")
base = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(224, 224, 3))
base.load_weights(weights)
names = [layer.name for layer in base.layers]
cut = names.index("block_13_project_BN")
for place, layer in enumerate(base.layers):
    layer.trainable = place > cut and not isinstance(layer, keras.layers.BatchNormalization)
pixels = keras.Input((224, 224, 3))
x = base(keras.applications.mobilenet_v2.preprocess_input(pixels))
x = keras.layers.GlobalAveragePooling2D()(x)
model = keras.Model(pixels, keras.layers.Dense(len(train.class_names))(x))
model.compile(keras.optimizers.AdamW(5e-4), jit_compile=False, metrics=["accuracy"],
              loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(train, validation_data=judge, epochs=epochs, verbose=0)
"""


def measured(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Wall clock and processor seconds of a command.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.monotonic() - started, "processor_seconds": used}


def take(photos: Path, target: Path, count: int) -> None:
    """Copy the same number of photos of each class, as far as there are so many."""
    classes = sorted(path for path in photos.iterdir() if path.is_dir())
    for folder in classes:
        (target / folder.name).mkdir(parents=True)
        for path in sorted(folder.iterdir())[: count // len(classes)]:
            shutil.copy(path, target / folder.name / path.name)


def main() -> None:
    """Measure, and print a JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=10)
    chosen = parser.parse_args()
    retrain = str(Path(sys.executable).with_name("retrain"))
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        take(chosen.photos, photos, chosen.images)
        environment = {**os.environ, "RETRAIN_WORKSPACE": str(Path(folder) / "work")}
        spec = ["--backbone", "mobilenet_v2", "--weights", str(chosen.weights)]
        tune = [retrain, "finetune", "--trainable", "last:3", "--epochs", str(chosen.epochs)]
        tune += ["--testing-percentage", "0"]
        fit = [sys.executable, "-c", _FIT, str(photos), str(chosen.weights), str(chosen.epochs)]
        found = {
            "bottlenecks": measured([retrain, "bottlenecks", str(photos), *spec], environment),
            "first": measured(tune, environment),
            "later": measured([*tune, "--learning-rate", "0.0003"], environment),
            "keras_fit": measured(fit, environment),
        }
    usual = found["keras_fit"]["processor_seconds"]
    first, later = (found[name]["processor_seconds"] for name in ("first", "later"))
    with_bottlenecks = first + found["bottlenecks"]["processor_seconds"]
    ratios = {
        "first": usual / first,
        "first_with_bottlenecks": usual / with_bottlenecks,
        "later": usual / later,
    }
    json.dump({"images": chosen.images, **found, "ratios": ratios}, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
