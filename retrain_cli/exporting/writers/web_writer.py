"""A page that labels photos in the browser: the ONNX network, and what runs and shows it.

    NAME_web/index.html  classify.js  photos.js  page.css  model.onnx  retrain.json  runtime/

Any server of plain files serves it; it asks for nothing of any other.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from retrain_cli.exporting.description import DESCRIPTION_FILE
from retrain_cli.exporting.runners.exported_model import WEB_MODEL
from retrain_cli.exporting.writers.export_parts import ExportParts
from retrain_cli.exporting.writers.onnx_writer import write_onnx
from retrain_cli.exporting.writers.web_runtime import web_runtime

_PAGE_FILES = (
    "exporting/web_page/index.html",
    "exporting/web_page/classify.js",
    "serving/page/photos.js",
    "serving/page/page.css",
)
"""Where they lie in this package; the last two are the service's, too."""

RUNTIME_FOLDER = "runtime"


def write_web(parts: ExportParts, path: Path) -> None:
    """Write the folder of a page.

    Raises:
        MissingExtraError: a package that writes ONNX files is not installed.
        ExportError: the network cannot be converted, or the browser's runtime cannot be had.
        OSError: the disk cannot be written.
    """
    runtime = web_runtime()
    (path / RUNTIME_FOLDER).mkdir(parents=True)
    write_onnx(parts, path / WEB_MODEL)
    (path / DESCRIPTION_FILE).write_text(parts.description.to_json() + "\n", encoding="utf-8")
    for place in map(resources.files("retrain_cli").joinpath, _PAGE_FILES):
        (path / place.name).write_bytes(place.read_bytes())
    for name, content in runtime.items():
        (path / RUNTIME_FOLDER / name).write_bytes(content)
