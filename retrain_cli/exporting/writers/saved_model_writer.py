"""A SavedModel as TensorFlow Serving wants it: `predict` and `classify`, from a photo's bytes on.

    NAME_saved_model/1/saved_model.pb  variables/  assets/labels.txt  assets.extra/retrain.json

The number is the version of a model, which TensorFlow Serving looks for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from retrain_cli.engine import load_tensorflow
from retrain_cli.exporting.description import DESCRIPTION_FILE, LABELS_FILE
from retrain_cli.exporting.writers.parts import ExportParts, writing_format
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
        module = _module(tensorflow, parts)
        signatures = module.signatures()
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


def _module(tensorflow: Any, parts: ExportParts) -> Any:
    """The model with its signatures; the class is made late, for its base is TensorFlow's."""
    described = parts.description
    graph = PhotoGraph(described.size, described.resize)
    names = [label.encode("utf-8", "surrogateescape") for label in described.labels]

    class Exported(tensorflow.Module):  # type: ignore[misc]
        """Photos in, scores and labels out."""

        def __init__(self) -> None:
            super().__init__(name="retrain")
            self.model = parts.model

        def _answer(self, pixels: Any) -> dict[str, Any]:
            scores = self.model(pixels, training=False)
            best = tensorflow.gather(tensorflow.constant(names), tensorflow.argmax(scores, axis=1))
            return {"scores": scores, "label": best}

        def _of_bytes(self, image_bytes: Any) -> dict[str, Any]:
            return self._answer(graph.from_bytes(image_bytes))

        def _of_any_size(self, images: Any) -> dict[str, Any]:
            return self._answer(graph.from_pixels(images))

        def _classify(self, inputs: Any) -> dict[str, Any]:
            feature = {ENCODED: tensorflow.io.FixedLenFeature([], tensorflow.string)}
            photos = tensorflow.io.parse_example(inputs, feature)[ENCODED]
            scores = self._of_bytes(photos)["scores"]
            rows = tensorflow.shape(scores)[0]
            classes = tensorflow.tile(tensorflow.constant([names]), [rows, 1])
            return {"classes": classes, "scores": scores}

        def signatures(self) -> dict[str, Any]:
            """Concrete functions by the name of their signature."""
            images = tensorflow.TensorSpec((None, *described.size, 3), "uint8", name="images")
            texts = tensorflow.TensorSpec((None,), tensorflow.string, name="image_bytes")
            any_size = tensorflow.TensorSpec((None, None, None, 3), "uint8", name="images")
            examples = tensorflow.TensorSpec((None,), tensorflow.string, name="inputs")

            def made(function: Any, spec: Any) -> Any:
                return tensorflow.function(function).get_concrete_function(spec)

            pixels = made(self._answer, images)
            found = {"serving_default": pixels, PIXELS_SIGNATURE: pixels}
            if described.input == "bytes":
                found["serving_default"] = made(self._of_bytes, texts)
                found["classify"] = made(self._classify, examples)
            elif described.input == "any-size":
                found["serving_default"] = made(self._of_any_size, any_size)
            return found

    return Exported()
