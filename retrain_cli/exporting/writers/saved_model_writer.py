"""A SavedModel as TensorFlow Serving wants it: `predict` and `classify`, from a photo's bytes on.

    NAME_saved_model/1/saved_model.pb  variables/  assets/labels.txt  assets.extra/retrain.json

The number is the version of a model, which TensorFlow Serving looks for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from retrain_cli.engine import load_tensorflow
from retrain_cli.exporting.description import DESCRIPTION_FILE, LABELS_FILE
from retrain_cli.exporting.writers.export_parts import ExportParts, writing_format
from retrain_cli.exporting.writers.photo_graph import PhotoGraph

VERSION_FOLDER = "1"
EXTRA_FOLDER = "assets.extra"
"""Where a SavedModel may carry files that no graph reads."""

PIXELS_SIGNATURE = "pixels"
ENCODED = "image/encoded"
"""The feature of a `tf.Example` that holds a photo's bytes, as TensorFlow's own datasets name it.
"""

_CLASSIFY = "tensorflow/serving/classify"


def write_saved_model(parts: ExportParts, path: Path) -> None:
    """Write the folder of a SavedModel.

    Raises:
        ExportError: TensorFlow cannot.
        OSError: the disk cannot be written.
    """
    folder = path / VERSION_FOLDER
    with writing_format("a SavedModel"):
        tensorflow = load_tensorflow()
        module = tensorflow.Module(name="retrain")
        module.model = parts.model  # whoever is saved has to hold the weights
        signatures = _Signatures(tensorflow, parts).by_name()
        tensorflow.saved_model.save(module, str(folder), signatures=signatures)
        if "classify" in signatures:
            _name_classify(folder)
    extra = folder / EXTRA_FOLDER
    extra.mkdir()
    (extra / DESCRIPTION_FILE).write_text(parts.description.to_json() + "\n", encoding="utf-8")
    names = "".join(f"{label}\n" for label in parts.description.labels)
    (extra / LABELS_FILE).write_text(names, encoding="utf-8", errors="backslashreplace")


def _name_classify(folder: Path) -> None:
    """Tell TensorFlow Serving that this signature is one for its `classify`."""
    from tensorflow.compat.v1.saved_model.signature_def_utils import MethodNameUpdater

    updater = MethodNameUpdater(str(folder))
    updater.replace_method_name(signature_key="classify", method_name=_CLASSIFY)
    updater.save()


class _Signatures:
    """What the SavedModel can be asked, as TensorFlow functions that are traced when asked for."""

    def __init__(self, tensorflow: Any, parts: ExportParts) -> None:
        self._tf = tensorflow
        self._model = parts.model
        self._described = parts.description
        self._graph = PhotoGraph(parts.description.size, parts.description.resize)
        self._names = [name.encode("utf-8", "surrogateescape") for name in self._described.labels]

    def by_name(self) -> dict[str, Any]:
        """Concrete functions by the name of their signature."""
        tf, described = self._tf, self._described
        fixed = tf.TensorSpec((None, *described.size, 3), tf.uint8, name="images")
        pixels = self._made(self._answer, fixed)
        found = {"serving_default": pixels, PIXELS_SIGNATURE: pixels}
        if described.input == "bytes":
            texts = tf.TensorSpec((None,), tf.string, name="image_bytes")
            examples = tf.TensorSpec((None,), tf.string, name="inputs")
            found["serving_default"] = self._made(self._of_bytes, texts)
            found["classify"] = self._made(self._classify, examples)
        elif described.input == "any-size":
            any_size = tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")
            found["serving_default"] = self._made(self._of_any_size, any_size)
        return found

    def _made(self, function: Any, spec: Any) -> Any:
        return self._tf.function(function).get_concrete_function(spec)

    def _answer(self, images: Any) -> dict[str, Any]:
        tf = self._tf
        scores = self._model(images, training=False)
        best = tf.gather(tf.constant(self._names), tf.argmax(scores, axis=1))
        return {"scores": scores, "label": best}

    def _of_bytes(self, image_bytes: Any) -> dict[str, Any]:
        return self._answer(self._graph.from_bytes(image_bytes))

    def _of_any_size(self, images: Any) -> dict[str, Any]:
        return self._answer(self._graph.from_pixels(images))

    def _classify(self, inputs: Any) -> dict[str, Any]:
        tf = self._tf
        feature = {ENCODED: tf.io.FixedLenFeature([], tf.string)}
        photos = tf.io.parse_example(inputs, feature)[ENCODED]
        scores = self._of_bytes(photos)["scores"]
        classes = tf.tile(tf.constant([self._names]), [tf.shape(scores)[0], 1])
        return {"classes": classes, "scores": scores}
