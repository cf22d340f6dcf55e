"""Ten lines of Python that run an exported file with the light runtime of its format alone.

For a web page they are a server of plain files.
"""

from __future__ import annotations

from retrain_cli.exporting.description import ExportDescription

_READ = """\
from pathlib import Path
import numpy as np
{imports}
labels = Path("labels.txt").read_text(encoding="utf-8").splitlines()
"""
_PIXELS = """\
photo = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
pixels = np.asarray({resized})[np.newaxis]
"""
_SHOW = """\
for place in scores.argsort()[::-1][:3]:
    print(f"{labels[place]}: {scores[place]:.1%}")
"""
_SERVE_PAGE = """\
\"\"\"python example_web.py   (then open http://127.0.0.1:8000)\"\"\"

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

folder = Path(__file__).resolve().parent / "{name}"
handler = partial(SimpleHTTPRequestHandler, directory=folder)
print("http://127.0.0.1:8000", flush=True)
ThreadingHTTPServer(("127.0.0.1", 8000), handler).serve_forever()
"""
_RUNTIMES = {
    "onnx": (
        "import onnxruntime",
        'session = onnxruntime.InferenceSession("{name}")\n'
        'scores = session.run(["scores"], {{"images": pixels}})[0][0]\n',
        "onnxruntime numpy pillow",
    ),
    "litert": (
        "from ai_edge_litert.interpreter import Interpreter",
        'runner = Interpreter("{name}")\n'
        "runner.allocate_tensors()\n"
        'runner.set_tensor(runner.get_input_details()[0]["index"], pixels)\n'
        "runner.invoke()\n"
        'scores = runner.get_tensor(runner.get_output_details()[0]["index"])[0]\n',
        "ai-edge-litert numpy pillow",
    ),
    "openvino": (
        "import openvino",
        "# Without this hint newer processors compute in bfloat16, and scores differ.\n"
        'hint = {{"INFERENCE_PRECISION_HINT": "f32"}}\n'
        'model = openvino.Core().compile_model("{name}/model.xml", "CPU", hint)\n'
        'scores = model({{"images": pixels}})["scores"][0]\n',
        "openvino numpy pillow",
    ),
    "keras": (
        "import keras",
        'model = keras.saving.load_model("{name}")\nscores = model.predict(pixels)[0]\n',
        "keras tensorflow pillow",
    ),
    "savedmodel": (
        "import tensorflow as tf",
        'model = tf.saved_model.load("{name}/1").signatures["serving_default"]\n'
        '{call}scores = found["scores"].numpy()[0]\n',
        "tensorflow",
    ),
}


def example_of(described: ExportDescription, name: str) -> str:
    """A program that prints the three best labels of a photo, or serves the page.

    Args:
        described: the file.
        name: of the file or folder beside the program.
    """
    if described.format == "web":
        return _SERVE_PAGE.format(name=name)
    imports, run, packages = _RUNTIMES[described.format]
    is_bytes = described.input == "bytes"
    imports += "" if is_bytes else "\nfrom PIL import Image, ImageOps"
    call = (
        "found = model(image_bytes=tf.constant([Path(sys.argv[1]).read_bytes()]))\n"
        if is_bytes
        else "found = model(images=tf.constant(pixels))\n"
    )
    head = (
        f'"""python {example_name(described)} PHOTO   (pip install {packages})"""\n\nimport sys\n'
    )
    pixels = "" if is_bytes else _PIXELS.format(resized=_resized(described))
    read = _READ.format(imports=imports)
    if is_bytes:
        read = read.replace("import numpy as np\n", "")
    return head + read + pixels + run.format(name=name, call=call) + _SHOW


def example_name(described: ExportDescription) -> str:
    """What the program is called."""
    return f"example_{described.format}.py"


def _resized(described: ExportDescription) -> str:
    """How Pillow brings `photo` to the wanted size."""
    if described.input == "any-size":
        return "photo"
    size = f"({described.width}, {described.height})"
    name, *details = described.resize.split()
    by = "Image.BICUBIC" if "bicubic" in details else "Image.BILINEAR"
    if name == "letterbox":
        return f'ImageOps.pad(photo, {size}, {by}, color="#808080")'
    if name == "crop":
        share = float(details[0]) if details else 1.0
        bleed = f", bleed={(1 - share) / 2:g}" if share < 1 else ""
        return f"ImageOps.fit(photo, {size}, {by}{bleed})"
    return f"photo.resize({size}, {by})"
