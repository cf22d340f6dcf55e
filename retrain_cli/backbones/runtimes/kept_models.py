"""Converted networks on disk: made once, found again by what they were made from.

    cache/models/inception_v3-mixed8-1a2b3c4d5e6f-float32-0123456789abcdef/model.xml, model.bin

The name says the backbone (with the fingerprint of its form on its own runtime), the kind and the
digest.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.durable import draft_folder, sync, sync_tree
from retrain_cli.errors import WeightsError, WorkspaceError, setting
from retrain_cli.paths import is_plain_name

XML, BIN = "model.xml", "model.bin"
_DIGEST_BYTES = 8
_MOST_XML, _MOST_BIN = 64 << 20, 4 << 30
"""Bytes of a graph and of weights that come from another machine; ours have 1 and 250 MB."""


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A network in OpenVINO's own format.

    Attributes:
        folder: where it lies.
        digest: what its name says of its content, 16 hex digits.
    """

    folder: Path
    digest: str

    @property
    def xml(self) -> Path:
        """The file to load; the weights lie beside it."""
        return self.folder / XML

    def check(self) -> None:
        """Compare content and name.

        Raises:
            WeightsError: the files are damaged or were changed.
        """
        try:
            intact = digest_model(self.folder) == self.digest
        except OSError:
            intact = False
        if not intact:
            raise WeightsError(
                f"the converted network in {self.folder} is damaged: delete that folder and run "
                "again; it is converted anew"
            )


def converted_from(spec: BackboneSpec) -> BackboneSpec:
    """The form of a backbone on its own runtime, which is what is converted."""
    return replace(spec, precision="float32", runtime=spec.own_runtime, model=None)


def find_kept_model(models: Path, spec: BackboneSpec) -> KeptModel | None:
    """The kept model of a spec: the one that `spec.model` names, else the oldest of its kind."""
    found = [
        KeptModel(folder, folder.name.rpartition("-")[2])
        for folder in sorted(
            models.glob(f"{_prefix(spec)}*"), key=lambda path: path.stat().st_mtime
        )
    ]
    return next((kept for kept in found if spec.model in (None, kept.digest)), None)


def keep_model(models: Path, spec: BackboneSpec, write: Callable[[Path], None]) -> KeptModel:
    """Let `write` put `model.xml` and `model.bin` into a folder, and keep that under its digest.

    Raises:
        WorkspaceError: the folder cannot be written.
    """
    try:
        models.mkdir(parents=True, exist_ok=True)
        with draft_folder(models) as drafts:
            draft = drafts / "model"
            draft.mkdir()
            write(draft)
            digest = digest_model(draft)
            target = models / f"{_prefix(spec)}{digest}"
            _publish(draft, target)
            return KeptModel(target, digest)
    except OSError as error:
        raise WorkspaceError(
            f"converted networks are kept in {models}, which cannot be written "
            f"({error.strerror or error}): choose another workspace with "
            f"{setting('workspace', 'FOLDER')}"
        ) from error


def copy_kept_models(source: Path, models: Path) -> list[str]:
    """Take over the kept models of another folder, if it is there.

    Only the two files of a model are taken, and only where they are what the folder's name says:
    ordinary files of a possible size, with that digest.

    Returns:
        The names of the folders that were left out.

    Raises:
        OSError: a copy cannot be written.
    """
    folders = sorted(source.glob(f"*-{'[0-9a-f]' * 2 * _DIGEST_BYTES}"))
    return [folder.name for folder in folders if not take_over(folder, models)]


def take_over(folder: Path, models: Path) -> bool:
    """Copy one kept model, as `copy_kept_models` does; False where it is not what its name says.

    Raises:
        OSError: the copy cannot be written.
    """
    target = models / folder.name
    if target.exists():
        return True
    if not (is_plain_name(folder.name) and _looks_kept(folder)):
        return False
    models.mkdir(parents=True, exist_ok=True)
    with draft_folder(models) as drafts:
        draft = drafts / "model"
        draft.mkdir()
        for name in (XML, BIN):
            shutil.copyfile(folder / name, draft / name, follow_symlinks=False)
        is_intact = digest_model(draft) == folder.name.rpartition("-")[2]
        if is_intact:
            _publish(draft, target)
        return is_intact


def _looks_kept(folder: Path) -> bool:
    """Whether a folder holds a graph and weights as ordinary files that are not too large."""
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            return False
        found = [(folder / name).lstat() for name in (XML, BIN)]
    except OSError:
        return False
    sizes = zip(found, (_MOST_XML, _MOST_BIN), strict=True)
    return all(stat.S_ISREG(one.st_mode) and one.st_size <= most for one, most in sizes)


def _publish(draft: Path, target: Path) -> None:
    """Rename a finished folder to its place, unless that is taken, and see it to the disk."""
    sync_tree(draft)
    if not target.exists():
        draft.rename(target)
        sync(target.parent)


def digest_model(folder: Path) -> str:
    """BLAKE2b-64 of graph and weights, as 16 hex digits; the writer's version does not count."""
    graph = (folder / XML).read_bytes().rpartition(b"\t<rt_info>")[0]
    digest = hashlib.blake2b(graph, digest_size=_DIGEST_BYTES)
    digest.update((folder / BIN).read_bytes())
    return digest.hexdigest()


def _prefix(spec: BackboneSpec) -> str:
    kind = "int8" if spec.precision == "int8" else "float32"  # bfloat16 is made while it compiles
    return f"{converted_from(spec).slug()}-{kind}-"
