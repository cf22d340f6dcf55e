"""What the first shard settles and the others take: precision, runtime and the converted network.

    settled/settled.json          what `auto` came to, and the fingerprint that follows
    settled/models/NAME/          the converted network, where there is one

The folder can be copied to machines that share no disk with the first one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from retrain_cli.backbones.precisions import Precision, Runtime
from retrain_cli.backbones.runtimes.kept_models import copy_kept_models, find_kept_model, take_over
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.checks import check_types
from retrain_cli.errors import ConfigError, WorkspaceError, setting
from retrain_cli.files import parse_json, read_file
from retrain_cli.workspace import Workspace, write_atomically, writing_to

_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Settled:
    """What a shard must have in common with the others, as far as `auto` leaves it open.

    Attributes:
        precision: as of `BackboneSpec`.
        runtime: as of `BackboneSpec`.
        model: as of `BackboneSpec`.
        fingerprint: of the backbone with these.
    """

    precision: Precision
    runtime: Runtime
    model: str | None
    fingerprint: str

    @classmethod
    def of(cls, spec: BackboneSpec) -> Settled:
        """Of a backbone that is settled."""
        return cls(spec.precision, spec.runtime, spec.model, spec.fingerprint())

    @classmethod
    def load(cls, folder: Path) -> Settled | None:
        """What a folder holds; None where nothing was settled there.

        Raises:
            WorkspaceError: it cannot be read.
        """
        path = _file_in(folder)
        try:
            settled = cls(**parse_json(read_file(path, _MOST_BYTES)))
            check_types(settled)
            return settled
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise WorkspaceError(
                f"{path} must say what the first shard has settled, and cannot be read ({error}): "
                "copy it anew from the first shard, or delete it to settle anew"
            ) from error

    def save(self, folder: Path, models: Path, spec: BackboneSpec) -> None:
        """Write it, after the converted network that it names.

        Args:
            folder: where to.
            models: where the network is kept.
            spec: the backbone, settled.

        Raises:
            WorkspaceError: the folder cannot be written.
        """
        kept = find_kept_model(models, spec) if self.model else None
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if kept is not None:
                take_over(kept.folder, models_in(folder))
        write_atomically(_file_in(folder), json.dumps(asdict(self), indent=2) + "\n")

    def applied_to(self, spec: BackboneSpec, folder: Path, workspace: Workspace) -> BackboneSpec:
        """A backbone as it was settled; its converted network is put where `workspace` looks.

        Raises:
            ConfigError: something else was settled there.
            WorkspaceError: the workspace cannot be written.
        """
        settled = replace(spec, precision=self.precision, runtime=self.runtime, model=self.model)
        if settled.fingerprint() != self.fingerprint:
            raise ConfigError(
                f"all shards compute the same, and {folder} was settled for another backbone than "
                f"{spec.label()}, or other weights of it: give this shard the options of the first "
                f"one, or leave {setting('settled')} out"
            )
        with writing_to(workspace.models_dir):
            copy_kept_models(models_in(folder), workspace.models_dir)
        return settled


def models_in(folder: Path) -> Path:
    """Where the converted network lies beside what was settled."""
    return folder / "models"


def _file_in(folder: Path) -> Path:
    return folder / "settled.json"
