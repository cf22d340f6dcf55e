"""Specs: defaults, refusals, and what does and does not change a fingerprint."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from retrain_cli.backbones.digests import settings_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import BackboneError, ConfigError, RetrainError, WeightsError


def test_defaults_are_filled_in_once() -> None:
    spec = BackboneSpec("mobilenet_v2").resolve()
    assert (spec.alpha, spec.input_size, spec.weights) == (1.0, 224, "imagenet")
    assert spec.resolve() == spec
    assert BackboneSpec().resolve().input_size == 299


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        (BackboneSpec("inceptionv3"), BackboneError, "did you mean inception_v3?"),
        (BackboneSpec("mini"), BackboneError, "mini is no longer part of retrain"),
        (BackboneSpec("ResNet-50"), BackboneError, "did you mean resnet50?"),
        (BackboneSpec("vgg"), BackboneError, "did you mean vgg16?"),
        (BackboneSpec("efficientnet_b1"), BackboneError, "did you mean efficientnet_v2_b0"),
        (BackboneSpec("clip"), BackboneError, "not 'clip': `retrain doctor --backbones` lists all"),
        (BackboneSpec("vgg16", alpha=0.5), BackboneError, "leave it out"),
        (BackboneSpec("mobilenet", alpha=0.3), BackboneError, "0.25, 0.5, 0.75, 1, not 0.3"),
        (BackboneSpec(input_size=74), BackboneError, "at least 75 px, not 74"),
        (BackboneSpec(weights="no/such.h5"), WeightsError, "no such file"),
        (BackboneSpec(weights="/"), WeightsError, "that is a folder"),
        (BackboneSpec("hub:no/such"), WeightsError, "no such folder"),
        (BackboneSpec("hub:/"), WeightsError, "no saved_model.pb"),
        (BackboneSpec("hub:x", layer="mixed8"), BackboneError, "leave layer out"),
        (BackboneSpec("hub:x", alpha=1.0), BackboneError, "leave alpha out"),
        (BackboneSpec("hub:x", weights="random"), BackboneError, "leave weights out"),
        (BackboneSpec("hub:x", precision="float16"), BackboneError, "leave precision out"),
        (BackboneSpec(pooling="mean"), ConfigError, "avg, max, cls, own, none, not 'mean'"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    spec: BackboneSpec, error: type[RetrainError], words: str
) -> None:
    with pytest.raises(error) as caught:
        spec.resolve()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_option_changes_the_fingerprint(tmp_path: Path) -> None:
    weights = tmp_path / "a.weights.h5"
    weights.write_bytes(b"weights")
    base = BackboneSpec("mobilenet")
    others = [
        replace(base, name="mobilenet_v2"),
        replace(base, alpha=0.5),
        replace(base, layer="conv1"),
        replace(base, pooling="max"),
        replace(base, weights="random"),
        replace(base, weights=str(weights)),
        replace(base, input_size=128),
        replace(base, resize="crop"),
        replace(base, precision="bfloat16"),
    ]
    fingerprints = {spec.fingerprint() for spec in [base, *others]}
    assert len(fingerprints) == len(others) + 1


def test_defaults_and_the_place_of_the_weights_do_not_change_it(tmp_path: Path) -> None:
    base = BackboneSpec("mobilenet")
    assert base.fingerprint() == replace(base, alpha=1.0, input_size=224).fingerprint()
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    first.write_bytes(b"same")
    second.write_bytes(b"same")
    by_path = [replace(base, weights=str(path)).fingerprint() for path in (first, second)]
    assert by_path[0] == by_path[1]
    second.write_bytes(b"other")
    assert replace(base, weights=str(second)).fingerprint() != by_path[1]


def test_a_saved_model_counts_by_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(b"numbers")
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    spec, moved = BackboneSpec(f"hub:{folder}"), BackboneSpec(f"hub:{copy}")
    assert spec.fingerprint() == moved.fingerprint()
    (copy / "variables" / "data").rename(copy / "variables" / "other")
    assert spec.fingerprint() != moved.fingerprint()
    assert spec.width() is None
    assert spec.default_source_classes() == "none"


def test_identity_names_the_published_imagenet_file() -> None:
    weights = BackboneSpec().identity()["weights"]
    assert weights == (
        "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5:bcbd6486424b2319ff4ef7d526e38f63"
    )


def test_slug_label_and_source_classes() -> None:
    spec = BackboneSpec(layer="mixed8", weights="random")
    assert spec.slug() == f"inception_v3-mixed8-{spec.fingerprint()}"
    assert spec.resolve().label() == "inception_v3 (mixed8, 299 px, random weights)"
    assert BackboneSpec("vgg16", resize="crop").resolve().label() == "vgg16 (224 px, crop)"
    assert settings_of(spec.identity()) == "mixed8, 299 px, random weights"
    assert spec.default_source_classes() == "none"
    assert BackboneSpec().default_source_classes() == "imagenet"
    assert BackboneSpec("xception", layer="a/b c").slug().startswith("xception-a_b_c-")


def test_width_is_known_where_no_layer_is_chosen() -> None:
    assert BackboneSpec("mobilenet", alpha=0.25).width() == 256
    assert BackboneSpec("mobilenet", layer="conv1").width() is None


def test_json_round_trip_and_a_newer_field() -> None:
    spec = BackboneSpec("mobilenet", alpha=0.5, layer="conv1", precision="bfloat16")
    assert BackboneSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    with pytest.raises(ConfigError, match="not crop_ratio"):
        BackboneSpec.from_dict({**spec.to_dict(), "crop_ratio": 1})


def test_a_fingerprint_needs_no_engine() -> None:
    code = (
        "import sys; from retrain_cli.backbones.spec import BackboneSpec as S; "
        "import retrain_cli.backbones.loader; S('vgg16').fingerprint(); "
        "sys.exit(sorted({'keras', 'tensorflow', 'h5py'} & set(sys.modules)) or 0)"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
