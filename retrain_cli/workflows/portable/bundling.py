"""`retrain bundle`: a run as one file, and how to open one on another machine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from retrain_cli import __version__
from retrain_cli.backbones.downloads import fetch_weights
from retrain_cli.backbones.runtimes.kept_models import BIN, XML, find_kept_model, keep_model
from retrain_cli.backbones.spec import IMAGENET, BackboneSpec
from retrain_cli.backbones.table import find_backbone
from retrain_cli.checks import check_share
from retrain_cli.durable import draft_folder
from retrain_cli.errors import ExportError, RunError, WeightsError, reason_of, setting
from retrain_cli.exporting.bundle_file import (
    BundleManifest,
    read_manifest,
    unpack_bundle,
    write_bundle,
)
from retrain_cli.files import hex_digest, parse_json
from retrain_cli.notebook.sheets import sheet
from retrain_cli.paths import StrPath, as_path
from retrain_cli.runs.info import OWN_BACKBONE
from retrain_cli.runs.lent_backbones import with_string
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.workflows.label import backbone_of
from retrain_cli.workflows.portable.export_run import threshold_of
from retrain_cli.workspace import Workspace, replacing, to_json, writing_to

SUFFIX = ".retrain"
BUNDLES = "bundles"
_RUN_FILES = ("labels.json", "head.npz")
_CONFIG = "config.json"
_MOST_JSON = 64 << 20


@dataclass(frozen=True)
class BundleRequest:
    """What to bundle.

    Attributes:
        run: name of the run; None for the latest.
        output: the file, a new one; None for `RUN.retrain` here.
        with_backbone: the backbone's weights, too; those of a fine-tuned run are always there.
        max_error: the share of wrong answers above the threshold that the bundle carries.
    """

    run: str | None = None
    output: StrPath | None = None
    with_backbone: bool = False
    max_error: float = 0.05

    def __post_init__(self) -> None:
        check_share(self, "max_error")


@dataclass(frozen=True)
class BundleSummary:
    """A bundle that was written.

    Attributes:
        run: name of the run.
        path: of the file.
        bytes: its size.
        digest: BLAKE2b-128 of the file.
        with_backbone: whether it needs nothing else.
        needs: what has to be there where it is opened; None where nothing has.
    """

    run: str
    path: Path
    bytes: int
    digest: str
    with_backbone: bool
    needs: str | None

    def _repr_html_(self) -> str:
        needs = f"it needs {self.needs}" if self.needs else "it needs nothing else"
        size = f"{self.bytes / 1e6:.1f} MB"
        return sheet(f"run {self.run} as one file", f"{self.path}, {size}; {needs}", self.digest)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "path": str(self.path)}


def bundle_run(request: BundleRequest, workspace: Workspace) -> BundleSummary:
    """Write a run as one file.

    Raises:
        ExportError: the file is there already, or the backbone cannot travel.
        RetrainError: no such run, or its backbone is gone.
    """
    run = RunStore(workspace.runs_dir).get(request.run)
    target = as_path(request.output or f"{run.name}{SUFFIX}")
    if target.exists():
        raise ExportError(
            f"a bundle is a new file, and {target} is there already: remove it, or choose another "
            f"{setting('output')}"
        )
    spec = backbone_of(run) if request.with_backbone else run.info.backbone
    parts = {name: run.file(name) for name in _RUN_FILES}
    with writing_to(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft_folder(target.parent) as drafts, replacing(target) as draft:
            weights = _backbone_parts(run, spec, workspace, request.with_backbone, parts)
            config = drafts / _CONFIG
            config.write_text(to_json(_portable(run, weights), indent=2), encoding="utf-8")
            parts[_CONFIG] = config
            calibrated = _calibrated_head(run, drafts)
            if calibrated is not None:
                parts["head.npz"] = calibrated
            write_bundle(draft, _facts(run, request, weights), parts)
    needs = None if request.with_backbone else _needed(run)
    size, digest = target.stat().st_size, hex_digest(target)
    return BundleSummary(run.name, target, size, digest, needs is None, needs)


def _calibrated_head(run: Run, folder: Path) -> Path | None:
    """The head that answers, where that is not the trained one: calibration is part of it."""
    if run.calibration is None:
        return None
    path = folder / "head.npz"
    run.head.save(path)
    return path


def _facts(run: Run, request: BundleRequest, weights: str | None) -> dict[str, Any]:
    least = threshold_of(run, request.max_error)
    return {
        "run": run.name,
        "created": run.info.created,
        "version": __version__,
        "backbone": run.info.backbone.label(),
        "weights": weights,
        "labels": [*run.labels],
        "least_score": least,
        "max_error": None if least is None else request.max_error,
    }


def _backbone_parts(
    run: Run, spec: BackboneSpec, workspace: Workspace, wanted: bool, parts: dict[str, Path]
) -> str | None:
    """Put the backbone's files among the parts; the name of its weights there, or None."""
    if run.info.has_own_backbone:
        parts[OWN_BACKBONE] = run.file(OWN_BACKBONE)
    if not wanted:
        return None
    if spec.kind != "table":
        raise ExportError(
            f"{setting('with_backbone', True)} takes a backbone of the table, and run {run.name} "
            f"has {spec.name}: leave it out, and take that network there yourself"
        )
    if spec.runtime == "openvino":
        kept = find_kept_model(workspace.models_dir, spec)
        if kept is None:
            raise WeightsError(
                f"{setting('with_backbone', True)} takes the network that OpenVINO runs, which is "
                f"not kept in {workspace.models_dir}: label a photo first, and it is made again"
            )
        kept.check()
        parts |= {f"model/{name}": kept.folder / name for name in (XML, BIN)}
    file = None if run.info.has_own_backbone else _weights_of(spec)
    if file is None:
        return None
    name = f"weights/{file.name}"
    parts[name] = file
    return name


def _weights_of(spec: BackboneSpec) -> Path | None:
    """The file of a backbone's weights; None where the network is known without one."""
    if spec.weights == IMAGENET and spec.runtime != "openvino":
        row = find_backbone(spec.name)
        published = row.published_weights(spec.alpha, spec.input_size or row.input_size)
        return fetch_weights(published, row.name)
    return spec.weights_file


def _portable(run: Run, weights: str | None) -> dict[str, Any]:
    """The run's config.json without the places of this machine."""
    config: dict[str, Any] = parse_json(run.file(_CONFIG).read_bytes())
    folder = str(config["dataset"]["image_dir"])
    config = with_string(config, folder, PurePath(folder).name or "photos")
    if weights is not None:
        config["backbone"]["weights"] = weights
    return config


def _needed(run: Run) -> str | None:
    spec = run.info.backbone
    if run.info.has_own_backbone or spec.weights == "random":
        return None
    return f"the weights of {spec.name} have to be there: {spec.weights}"


@dataclass(frozen=True, eq=False)
class OpenedBundle:
    """A bundle that is ready to label.

    Attributes:
        run: the run in it, unpacked; it has no predictions.
        least_score: a best score below this is better called unknown; None where it knows none.
    """

    run: Run
    least_score: float | None


def open_bundle(path: Path, workspace: Workspace) -> OpenedBundle:
    """Unpack a bundle into the workspace, once, and check every part of it.

    Raises:
        ExportError: it is no bundle, is damaged, or lacks its backbone.
        WorkspaceError: the workspace cannot be written.
    """
    manifest = read_manifest(path)
    home = workspace.cache_dir / BUNDLES
    target = home / hex_digest(path)
    with writing_to(home):
        if not _is_intact(target, manifest):
            _unpack(path, target, workspace)
    run = Run(target)
    _check_backbone(path, run.info.backbone)
    least = manifest.facts.get("least_score")
    return OpenedBundle(run, least if isinstance(least, float) else None)


def _is_intact(target: Path, manifest: BundleManifest) -> bool:
    """Whether it was unpacked before, and what was is still what the list says."""
    try:
        return (target / _CONFIG).is_file() and all(
            hex_digest(target / name) == digest
            for name, (_, digest) in manifest.files.items()
            if name != _CONFIG  # which names the places of this machine
        )
    except OSError:
        return False


def _unpack(path: Path, target: Path, workspace: Workspace) -> None:
    workspace.prepare()
    target.parent.mkdir(parents=True, exist_ok=True)
    with draft_folder(target.parent) as drafts:
        draft = drafts / target.name
        draft.mkdir()
        manifest = unpack_bundle(path, draft)
        _check_parts(path, manifest)
        draft_config = draft / _CONFIG
        try:
            config = parse_json(draft_config.read_bytes())
            weights = manifest.facts.get("weights")
            own = config["backbone"]["weights"] == OWN_BACKBONE
            if isinstance(weights, str) and weights in manifest.files:
                config["backbone"]["weights"] = str(target / weights)
                _replace_weights(config, draft / weights)
            _keep_network(config, manifest, draft, workspace, own)
            draft_config.write_text(to_json(config, indent=2), encoding="utf-8")
            run = Run(draft)
            _ = run.info, run.labels, run.head
        except (KeyError, TypeError, ValueError, RecursionError, RunError) as error:
            raise ExportError(
                f"{path} holds no run that can be read ({reason_of(error):.80}): bundle it again"
            ) from error
        if _is_intact(target, manifest):
            return  # another command was faster
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)


def _check_parts(path: Path, manifest: BundleManifest) -> None:
    needed = [_CONFIG, *_RUN_FILES]
    network = [f"model/{name}" for name in (XML, BIN)]
    if any(name in manifest.files for name in network):
        needed += network
    lacking = next((name for name in needed if name not in manifest.files), None)
    if lacking is not None:
        raise ExportError(f"a bundle holds {lacking}, and {path} does not: bundle the run again")


def _replace_weights(config: dict[str, Any], weights: Path) -> None:
    """Let the run's cache be that of the weights by their file: imagenet ones had another name."""
    spec = BackboneSpec.from_dict({**config["backbone"], "weights": str(weights)})
    config["cache"] = spec.fingerprint()


def _keep_network(
    config: Mapping[str, Any],
    manifest: BundleManifest,
    draft: Path,
    workspace: Workspace,
    own: bool,
) -> None:
    """Put the network that OpenVINO runs where those of this workspace are kept."""
    if f"model/{XML}" not in manifest.files:
        return
    named = dict(config["backbone"])
    if own:
        named["weights"] = str(draft / OWN_BACKBONE)
    elif isinstance(manifest.facts.get("weights"), str):
        named["weights"] = str(draft / str(manifest.facts["weights"]))
    spec = BackboneSpec.from_dict(named).resolve()

    def write(folder: Path) -> None:
        for name in (XML, BIN):
            shutil.copyfile(draft / "model" / name, folder / name)

    kept = keep_model(workspace.models_dir, spec, write)
    if kept.digest != spec.model:
        raise ExportError("the network in this bundle is not the one of its run: bundle it again")


def _check_backbone(path: Path, spec: BackboneSpec) -> None:
    file = spec.weights_file if spec.kind == "table" else None
    if file is not None and not file.is_file():
        raise ExportError(
            f"{path} was made without its backbone, and the weights are not where they were, in "
            f"{file}: put them there, or bundle the run again with "
            f"{setting('with_backbone', True)}"
        )
