"""Weight files: every format loads whole, and whatever does not fit is refused untouched."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from retrain_cli.backbones.weights import load_weights_file, set_random_weights
from retrain_cli.engine import load_keras
from retrain_cli.errors import WeightsError

# Keras 3 saves TensorFlow variables through a NumPy protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def make_net(channels: int = 4, stem: int = 4, nested: bool = True) -> Any:
    """Two parallel branches of equal shapes, explicit and automatic names, a nested block."""
    keras = load_keras()
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(stem, 3)(inputs)
    left = keras.layers.Conv2D(channels, 1, name="left")(x)
    right = keras.layers.Conv2D(channels, 1, name="right")(x)
    x = keras.layers.Add(name="sum")([left, right])
    x = keras.layers.BatchNormalization()(x)
    if nested:
        x = keras.Sequential([keras.layers.Conv2D(5, 1), keras.layers.Dropout(0.1)])(x)
    for _ in range(3):
        x = keras.layers.Conv2D(6, 1)(x)
    return keras.Model(inputs, x)


def weights_of(model: Any) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(weight) for weight in model.get_weights()]


def same(left: Any, right: Any) -> bool:
    pairs = zip(weights_of(left), weights_of(right), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def with_head(base: Any, flat: bool) -> Any:
    """The user's own classifier: on the backbone's output, or around it as one nested layer."""
    keras = load_keras()
    inputs = base.input if flat else keras.Input((16, 16, 3))
    features = base.output if flat else base(inputs)
    return keras.Model(inputs, keras.layers.Dense(7)(keras.ops.mean(features, axis=(1, 2))))


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[tuple[Any, Path]]:
    model = make_net()
    path = tmp_path / "net.weights.h5"
    model.save_weights(path)
    yield model, path


def test_weights_h5_loads_whole_whatever_was_built_before(saved: tuple[Any, Path]) -> None:
    model, path = saved
    other = make_net()  # its automatic names have other numbers
    assert not same(model, other)
    load_weights_file(path, [other], "net")
    assert same(model, other)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_a_classifier_in_the_file_is_left_out(tmp_path: Path, flat: bool, suffix: str) -> None:
    model = make_net()
    path = tmp_path / f"user{suffix}"
    user = with_head(model, flat)
    user.save(path) if suffix == ".keras" else user.save_weights(path)
    other = make_net()
    load_weights_file(path, [other], "net")
    assert same(model, other)


def test_an_optimizer_in_the_file_is_left_out(tmp_path: Path) -> None:
    model = make_net()
    user = with_head(model, flat=True)
    user.compile("adam", "mse")
    user.optimizer.build(user.trainable_variables)
    user.save(tmp_path / "user.keras")
    other = make_net()
    load_weights_file(tmp_path / "user.keras", [other], "net")
    assert same(model, other)


def write_legacy(model: Any, path: Path, order: slice = slice(None), group: str = "/") -> Path:
    """The format of Keras 2: groups by layer name, their order in an attribute."""
    layers = [layer for layer in model.layers if layer.weights]
    with h5py.File(path, "w") as file:
        root = file.require_group(group)
        root.attrs["layer_names"] = [layer.name.encode() for layer in layers[order]]
        for layer in layers:
            names = [f"{layer.name}/weight_{i}:0".encode() for i in range(len(layer.weights))]
            part = root.create_group(layer.name)
            part.attrs["weight_names"] = names
            values = [*layer.trainable_weights, *layer.non_trainable_weights]
            for name, value in zip(names, values, strict=True):
                part[name.decode()] = np.asarray(value)
    return path


@pytest.mark.parametrize("group", ["/", "model_weights"])
def test_legacy_h5_loads_whole(tmp_path: Path, group: str) -> None:
    model, other = make_net(), make_net()
    load_weights_file(write_legacy(model, tmp_path / "old.h5", group=group), [other], "net")
    assert same(model, other)


def test_float16_arrays_are_cast(saved: tuple[Any, Path], tmp_path: Path) -> None:
    model, path = saved
    half = tmp_path / "half.weights.h5"
    shutil.copy(path, half)
    with h5py.File(half, "r+") as file:
        kernel = file["layers/conv2d/vars/0"][()]
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = kernel.astype(np.float16)
    other = make_net()
    load_weights_file(half, [other], "net")
    np.testing.assert_allclose(weights_of(other)[0], weights_of(model)[0], atol=1e-3)
    assert weights_of(other)[0].dtype == np.float32


def refuse(path: Path, model: Any, digest: str | None = None) -> str:
    """The message of the refusal; the model must be as before."""
    before = weights_of(model)
    with pytest.raises(WeightsError) as caught:
        load_weights_file(path, [model], "net", digest)
    assert all(map(np.array_equal, before, weights_of(model)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_architecture_is_refused_with_the_first_difference(saved: Any) -> None:
    assert "its layers/conv2d_1 is (1, 1, 4, 4), layer left wants (1, 1, 4, 8)" in refuse(
        saved[1], make_net(channels=8)
    )
    assert "is (1, 1, 5, 6), layer conv2d_1 wants (1, 1, 4, 6)" in refuse(
        saved[1], make_net(nested=False)
    )


def test_a_file_with_fewer_or_more_layers_is_refused(saved: Any, tmp_path: Path) -> None:
    path = tmp_path / "part.weights.h5"
    shutil.copy(saved[1], path)
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d_5"]
    assert "it has nothing for layer" in refuse(path, make_net())
    shutil.copy(saved[1], path)
    with h5py.File(path, "r+") as file:
        for number in range(20):
            file[f"layers/conv2d_{100 + number}/vars/0"] = np.zeros(3)
    assert "have no place in the backbone" in refuse(path, make_net())


def up_to(model: Any, layer: str) -> Any:
    return load_keras().Model(model.input, model.get_layer(layer).output)


@pytest.mark.parametrize("layer", ["sum", "right"])
@pytest.mark.parametrize("whole", [True, False])
def test_with_a_layer_the_file_holds_all_or_just_what_is_below(
    tmp_path: Path, layer: str, whole: bool
) -> None:
    model, other = make_net(), make_net()
    path = tmp_path / "net.weights.h5"
    (model if whole else up_to(model, layer)).save_weights(path)
    assert not same(up_to(model, layer), up_to(other, layer))
    load_weights_file(path, [other, up_to(other, layer)], "net")
    assert same(up_to(model, layer), up_to(other, layer))
    assert same(model, other) == whole


def test_layers_in_another_order_are_refused(saved: Any, tmp_path: Path) -> None:
    path = tmp_path / "swapped.weights.h5"
    shutil.copy(saved[1], path)
    with h5py.File(path, "r+") as file:
        file.move("layers/conv2d_1", "layers/kept")
        file.move("layers/conv2d_2", "layers/conv2d_1")
        file.move("layers/kept", "layers/conv2d_2")
    assert "another order, with right in the place of left" in refuse(path, make_net())


def test_a_legacy_file_in_another_order_is_refused(tmp_path: Path) -> None:

    model = make_net(nested=False)
    path = write_legacy(model, tmp_path / "old.h5")
    with h5py.File(path, "r+") as file:
        names = list(file.attrs["layer_names"])
        names[-1], names[-2] = names[-2], names[-1]
        file.attrs["layer_names"] = names
    message = refuse(path, make_net(nested=False), digest="0" * 32)
    assert "another order" in message
    known = hashlib.md5(path.read_bytes()).hexdigest()
    load_weights_file(path, [make_net(nested=False)], "net", known)


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all" * 100, b"PK\x03\x04 no archive"])
def test_what_is_no_weights_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.weights.h5"
    path.write_bytes(content)
    assert "save or download it again" in refuse(path, make_net())


def test_a_truncated_and_a_foreign_hdf5_file_are_refused(saved: Any, tmp_path: Path) -> None:
    whole = saved[1].read_bytes()
    path = tmp_path / "cut.weights.h5"
    path.write_bytes(whole[: len(whole) // 2])
    assert "truncated file" in refuse(path, make_net())
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["spectra"] = np.zeros(3)
    assert "with spectra at its top" in refuse(tmp_path / "foreign.h5", make_net())


def test_random_weights_are_the_same_every_time() -> None:
    first, second = make_net(), make_net()
    set_random_weights(first, 0)
    set_random_weights(second, 0)
    assert same(first, second)
    set_random_weights(second, 1)
    assert not same(first, second)


def test_random_kernels_keep_the_size_of_what_passes() -> None:
    """He's distribution: through rectified layers, depthwise ones too, the mean square stays."""
    keras = load_keras()
    inputs = keras.Input((12, 12, 64))
    x = keras.layers.DepthwiseConv2D(3, padding="valid", activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(256, 1)(x))
    set_random_weights(model, 0)
    images = np.random.default_rng(0).normal(size=(8, 12, 12, 64)).astype(np.float32)
    mean_square = float(np.mean(np.square(model.predict_on_batch(images))))
    assert 1 < mean_square < 4  # 1 goes in; the factor 2 for rectifiers is not used up at the end


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_bfloat16_arrays_are_read(suffix: str, tmp_path: Path) -> None:
    keras = load_keras()
    keras.config.set_dtype_policy("bfloat16")
    try:
        half = make_net(nested=False)
    finally:
        keras.config.set_dtype_policy("float32")
    path = tmp_path / f"half{suffix}"
    half.save_weights(path) if suffix == ".weights.h5" else half.save(path)
    model = make_net(nested=False)
    load_weights_file(path, [model], "net")
    wanted = [np.asarray(keras.ops.cast(value, "float32")) for value in half.weights]
    assert all(map(np.array_equal, weights_of(model), wanted))


def test_nothing_outside_the_file_is_read(saved: Any, tmp_path: Path) -> None:
    model, path = saved
    (tmp_path / "secret").write_bytes(b"x" * 4096)
    with h5py.File(path, "r") as source:
        keys = [name for name in _arrays_of(source) if source[name].ndim == 1]
    for number, plant in enumerate((_external, _virtual, _external_link, _soft_link)):
        foreign = tmp_path / f"{number}.weights.h5"
        shutil.copyfile(path, foreign)
        with h5py.File(foreign, "r+") as file:
            shape = file[keys[0]].shape
            del file[keys[0]]
            plant(file, keys[0], shape, tmp_path)
        message = refuse(foreign, model)
        assert "lie in another file" in message or "is a link" in message


def _arrays_of(file: Any) -> list[str]:
    names: list[str] = []
    file.visititems(
        lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
    )
    return names


def _external(file: Any, key: str, shape: tuple[int, ...], folder: Path) -> None:
    outside = [(str(folder / "secret"), 0, 4 * int(np.prod(shape)))]
    file.create_dataset(key, shape, "f4", external=outside)


def _virtual(file: Any, key: str, shape: tuple[int, ...], folder: Path) -> None:
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", shape)
    file.create_virtual_dataset(key, layout)


def _external_link(file: Any, key: str, shape: tuple[int, ...], folder: Path) -> None:
    file[key] = h5py.ExternalLink(str(folder / "pipe"), "/x")


def _soft_link(file: Any, key: str, shape: tuple[int, ...], folder: Path) -> None:
    file[key] = h5py.SoftLink("/nowhere")


def test_an_archive_that_unpacks_without_end_is_refused_unread(saved: Any, tmp_path: Path) -> None:
    model, _ = saved
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(1 << 26))
    assert "claims 67,108,864 bytes" in refuse(tmp_path / "bomb.keras", model)
