"""Backbones of the table as they run: against a direct computation with Keras itself."""

from __future__ import annotations

import hashlib
import http.server
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from retrain_cli.backbones import downloads, table
from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import KERAS_BACKBONES, Variant
from retrain_cli.engine import load_keras
from retrain_cli.errors import BackboneError, WeightsError

# Keras 3 saves TensorFlow variables through a NumPy protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = BackboneSpec("mobilenet", alpha=0.25, weights="random", input_size=32)


def images(size: int, count: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_vectors_are_those_of_keras_and_8_bit_goes_in(tmp_path: Path) -> None:
    keras = load_keras()
    base = keras.applications.MobileNet(
        alpha=0.25, weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    base.save_weights(tmp_path / "m.weights.h5")
    backbone = load_backbone(replace(SMALL, weights=str(tmp_path / "m.weights.h5")), "cpu")
    pixels = images(32)
    scaled = keras.applications.mobilenet.preprocess_input(pixels.astype(np.float32))
    features = np.asarray(base(scaled, training=False))
    vectors = backbone(pixels)
    assert (backbone.width, backbone.input_size, backbone.device) == (256, (32, 32), "cpu:0")
    assert (vectors.shape, vectors.dtype) == ((3, 256), np.dtype(np.float32))
    np.testing.assert_allclose(vectors, features.mean(axis=(1, 2)), rtol=1e-4, atol=1e-7)


def test_a_layer_is_pooled_or_taken_as_it_is() -> None:
    pixels = images(32)
    pooled = load_backbone(replace(SMALL, layer="conv_pw_3_relu"), "cpu")(pixels)
    highest = load_backbone(replace(SMALL, layer="conv_pw_3_relu", pooling="max"), "cpu")(pixels)
    assert pooled.shape == highest.shape == (3, 32)
    assert (highest >= pooled).all()
    assert (highest > pooled).any()


def test_automatic_layer_names_do_not_depend_on_the_session() -> None:
    spec = BackboneSpec("mobilenet_v3_small", weights="random", layer="activation", input_size=32)
    first, second = load_backbone(spec, "cpu"), load_backbone(spec, "cpu")
    np.testing.assert_array_equal(first(images(32)), second(images(32)))


def test_an_unknown_layer_is_refused_with_the_nearest() -> None:
    with pytest.raises(BackboneError, match="did you mean conv_pw_13_relu"):
        load_backbone(replace(SMALL, layer="conv_pw_13_rel"), "cpu")


def test_building_leaves_the_callers_state_alone(capfd: pytest.CaptureFixture[str]) -> None:
    keras = load_keras()
    random.seed(3)
    expected = random.random()
    random.seed(3)
    low = load_backbone(replace(SMALL, precision="bfloat16"), "cpu")(images(32))
    assert random.random() == expected
    assert keras.config.dtype_policy().name == "float32"
    full = load_backbone(SMALL, "cpu")(images(32))
    assert low.dtype == np.float32
    np.testing.assert_allclose(low, full, atol=0.05 * full.max())
    assert not np.array_equal(low, full)
    assert capfd.readouterr() == ("", "")


def test_convnext_normalises_after_pooling() -> None:
    spec = BackboneSpec("convnext_tiny", weights="random", input_size=32)
    vectors = load_backbone(spec, "cpu")(images(32))
    np.testing.assert_allclose(vectors.mean(axis=1), 0, atol=1e-3)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address that serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{http_server.server_port}"
        http_server.shutdown()
        thread.join()


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    load_keras()
    from keras.src.backend import config

    home = tmp_path / "keras"
    home.mkdir()
    monkeypatch.setattr(config, "_KERAS_DIR", str(home))
    monkeypatch.setenv("KERAS_HOME", str(home))
    return home


def publish(monkeypatch: pytest.MonkeyPatch, url: str, digest: str | None) -> BackboneSpec:
    """Let the table say that MobileNet's weights are at `url`."""
    row = replace(KERAS_BACKBONES["mobilenet"], variants=(Variant(256, url, digest, 0.25),))
    monkeypatch.setitem(table.KERAS_BACKBONES, "mobilenet", row)
    return replace(SMALL, weights="imagenet")


@pytest.fixture
def served_weights(server: tuple[Path, str]) -> tuple[str, str]:
    """Address and MD5 of a file of weights, under a name that is not `.weights.h5`."""
    folder, address = server
    model = load_keras().applications.MobileNet(
        alpha=0.25, weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    model.save_weights(folder / "net.weights.h5")
    (folder / "net.weights.h5").rename(folder / "net_no_top.h5")
    content = (folder / "net_no_top.h5").read_bytes()
    return f"{address}/net_no_top.h5", hashlib.md5(content).hexdigest()


def test_imagenet_weights_are_downloaded_once(
    served_weights: tuple[str, str],
    keras_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    spec = publish(monkeypatch, *served_weights)
    first = load_backbone(spec, "cpu")(images(32))
    assert (keras_home / "models" / "net_no_top.h5").is_file()
    monkeypatch.setattr("urllib.request.urlopen", None)  # a second download would fail
    np.testing.assert_array_equal(first, load_backbone(spec, "cpu")(images(32)))
    assert capfd.readouterr() == ("", "")


def test_a_download_with_another_hash_is_refused(
    served_weights: tuple[str, str], keras_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = publish(monkeypatch, served_weights[0], "0" * 32)
    with pytest.raises(WeightsError, match="hash does not match"):
        load_backbone(spec, "cpu")


@pytest.mark.parametrize("path", ["gone.h5", "offline"])
def test_offline_the_error_names_every_way_on(
    path: str, server: tuple[Path, str], keras_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://127.0.0.1:9/net.h5" if path == "offline" else f"{server[1]}/gone.h5"
    spec = publish(monkeypatch, url, None)
    with pytest.raises(WeightsError) as caught:
        load_backbone(spec, "cpu")
    message = str(caught.value)
    assert "\n" not in message
    folder = str(downloads.keras_models_folder())
    assert folder == str(keras_home / "models")
    for words in (
        url,
        folder,
        f"weights='{Path(url).name}'",
        "BackboneSpec.name='efficientnet_lite",
    ):
        assert words in message
