"""`retrain doctor`: what is installed, what the engine sees, what is missing and how to get it."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

from retrain_cli import __version__
from retrain_cli.backbones.downloads import is_package_installed, keras_models_folder
from retrain_cli.backbones.published import FIGURES, MEASURED_ON, BackboneFigures
from retrain_cli.backbones.table import KERAS_BACKBONES, SUCCESSOR, KerasBackbone
from retrain_cli.cache.cache_files import cache_files
from retrain_cli.engine import has_openvino, list_gpus, load_keras
from retrain_cli.errors import RetrainError
from retrain_cli.images.resizing import has_fast_resizer
from retrain_cli.parallel import usable_processors
from retrain_cli.workspace import Workspace

Verdict = Literal["ok", "info", "missing", "problem"]
WeightsState = Literal["here", "download", "package", "offline"]

_EXTRAS = (
    ("pillow_heif", "heic", "HEIC photos"),
    ("nncf", "fast-cpu", "--precision int8, the fastest on a processor"),
    ("pyarrow", "parquet", "`retrain cache export` to Parquet"),
    ("tf2onnx", "export", "`retrain export` to ONNX and LiteRT"),
    ("exiv2", "xmp", "keywords in photos, `watch --tags xmp`"),
    ("imblearn", "balance", "`train --balance smote`"),
    ("sklearn", "map", "`report --map tsne`, trees of `study freeze`"),
)


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Attributes:
        subject: what was looked at.
        verdict: ok, info (worth knowing), missing (optional) or problem.
        detail: what was found.
        remedy: what to do about it; empty where nothing is to be done.
    """

    subject: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def examine(workspace: Workspace) -> list[Finding]:
    """Look at everything that the tool stands on; never raises."""
    return [
        Finding("retrain", "ok", f"{__version__}, Python {platform.python_version()}"),
        Finding("platform", "ok", f"{platform.platform()}, {usable_processors()} processors"),
        *_packages(),
        *_engine(),
        *_extras(),
        *_user_networks(),
        _weights_folder(),
        *_workspace(workspace),
    ]


def _packages() -> list[Finding]:
    names = ("keras", "tensorflow", "tensorflow-hub", "openvino", "numpy", "pillow", "simplejpeg")
    return [*(_package(name) for name in names), _resizer()]


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", version(name))
    except PackageNotFoundError:
        return Finding(name, "problem", "not installed", f"pip install {name}")


def _resizer() -> Finding:
    if has_fast_resizer():
        return _package("cykooz.resizer")
    return Finding("cykooz.resizer", "info", "not installed: Pillow resizes, more slowly")


def _engine() -> list[Finding]:
    try:
        keras = load_keras()
        gpus = list_gpus()
    except (RetrainError, ImportError) as error:
        return [
            Finding(
                "engine", "problem", str(error), "pip install --force-reinstall keras tensorflow"
            )
        ]
    backend = keras.backend.backend()
    if gpus:
        return [Finding("engine", "ok", f"{backend}, {len(gpus)} GPU(s): {', '.join(gpus)}")]
    remedy = ""
    if shutil.which("nvidia-smi"):
        remedy = "this machine has an NVIDIA card: pip install 'retrain-cli[gpu]'"
    return [Finding("engine", "info", f"{backend}, no GPU seen: the processor computes", remedy)]


def _extras() -> list[Finding]:
    findings = []
    for module, extra, feature in _EXTRAS:
        if find_spec(module):
            findings.append(Finding(f"extra {extra}", "ok", feature))
        else:
            remedy = f"pip install 'retrain-cli[{extra}]'"
            findings.append(Finding(f"extra {extra}", "missing", f"for {feature}", remedy))
    return findings


def _user_networks() -> list[Finding]:
    """What runs ONNX files and networks of timm here."""
    on_gpu = find_spec("onnxruntime") is not None
    onnx = [
        *(["OpenVINO on the processor"] if has_openvino() else []),
        *(["ONNX Runtime"] if on_gpu else []),
    ]
    if not onnx:
        missing = "neither OpenVINO nor ONNX Runtime is installed"
        found = [Finding("onnx:FILE", "missing", missing, "pip install openvino")]
    else:
        remedy = "" if on_gpu else "for a GPU: pip install 'retrain-cli[onnx]'"
        found = [Finding("onnx:FILE", "ok", f"run by {' or '.join(onnx)}", remedy)]
    if find_spec("timm") and find_spec("torch"):
        names = ", ".join(f"{name} {version(name)}" for name in ("timm", "torch"))
        return [*found, Finding("timm:NAME", "ok", names)]
    detail = "for the networks of timm: DINOv2, CLIP, SigLIP, ConvNeXt and others"
    return [*found, Finding("timm:NAME", "missing", detail, "pip install 'retrain-cli[timm]'")]


def _weights_folder() -> Finding:
    models = keras_models_folder()
    files = list(models.glob("*.h5")) if models.is_dir() else []
    held = f"{len(files)} weights file(s)" if files else "empty; filled by the first download"
    return Finding("weights folder", "ok", f"{models}: {held}")


def _workspace(workspace: Workspace) -> list[Finding]:
    if not workspace.root.exists():
        detail = f"{workspace.root}: not there yet; `retrain bottlenecks` makes it"
        return [Finding("workspace", "info", detail)]
    try:
        workspace.prepare()
    except RetrainError as error:
        return [Finding("workspace", "problem", str(error))]
    caches = len(cache_files(workspace.cache_dir))
    runs = len([path for path in workspace.runs_dir.iterdir() if not path.name.startswith(".")])
    free = shutil.disk_usage(workspace.root).free / 1e9
    verdict: Verdict = "ok" if free > 1 else "problem"
    detail = f"{workspace.root}: {caches} cache(s), {runs} run(s), {free:.1f} GB free"
    remedy = "" if free > 1 else "free some space, or choose another one with --workspace"
    return [Finding("workspace", verdict, detail, remedy)]


@dataclass(frozen=True)
class BackboneInfo:
    """One line of the list.

    Attributes:
        name: what `--backbone` takes.
        input_size: side in pixels.
        widths: lengths of the bottleneck, the default one first.
        alphas: what `--alpha` takes for each of them; empty where there is no choice.
        figures: its size, accuracy and speed; None where they are not known.
        weights: "here", "download", or what has to be installed: a "package", which is this
            one's own dependency, or the extra "offline".
        remedy: what gets the weights, empty where they are here.
    """

    name: str
    input_size: int
    widths: tuple[int, ...]
    alphas: tuple[float, ...]
    figures: BackboneFigures | None
    weights: WeightsState
    remedy: str

    def to_dict(self) -> dict[str, object]:
        """Everything, as JSON values."""
        known = self.figures
        return {
            "backbone": self.name,
            "input px": self.input_size,
            "width": self.widths[0],
            "widths": list(self.widths),
            "alphas": list(self.alphas),
            "parameters": known and known.parameters,
            "ImageNet top-1": known and known.top1,
            "source": known and known.source,
            "speed": known and known.speed,
            "speed in 8 bits": known and known.speed_8_bits,
            "measured on": MEASURED_ON,
            "weights": self.weights,
            "get weights": self.remedy,
        }


def list_backbones() -> list[BackboneInfo]:
    """All backbones of the table; nothing heavy is imported, nothing is downloaded."""
    return [_describe(row) for row in KERAS_BACKBONES.values()]


def _describe(row: KerasBackbone) -> BackboneInfo:
    state, remedy = _weights_of(row)
    return BackboneInfo(
        row.name,
        row.input_size,
        tuple(variant.width for variant in row.variants),
        tuple(variant.alpha for variant in row.variants if variant.alpha is not None),
        FIGURES.get(row.name),
        state,
        remedy,
    )


def _weights_of(row: KerasBackbone) -> tuple[WeightsState, str]:
    published = row.published_weights(None, row.input_size)
    if not published.package:
        if (keras_models_folder() / published.file_name).is_file():
            return "here", ""
        return "download", f"downloaded when first used: {published.url}"
    if is_package_installed(published.package):
        return "here", ""
    return (
        "package" if row.name == SUCCESSOR else "offline",
        f"pip install {published.package}, or 'retrain-cli[offline]' for all",
    )
