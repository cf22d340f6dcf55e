"""Which SavedModels may run: each is a program, so somebody has to say so, once for each.

Its graph may read and write files like any program that the user starts. Trust is given to the
content of the folder, by its digest, and remembered in the workspace.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from retrain_cli.backbones.digests import digest_folder
from retrain_cli.backbones.hub import find_saved_model
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import WeightsError, WorkspaceError, setting
from retrain_cli.files import read_file
from retrain_cli.workspace import Workspace, to_json, write_atomically

_MOST_BYTES = 16 << 20
WARNING = "a SavedModel is a program: it can read and write files as you can"


class UntrustedModelError(WeightsError):
    """A SavedModel that nobody has called trusted."""


def is_trusted(spec: BackboneSpec, workspace: Workspace) -> bool:
    """Whether a backbone may run: one of the table, or a SavedModel that is trusted here.

    Raises:
        WeightsError: the SavedModel cannot be found or read.
        WorkspaceError: what is remembered cannot be read.
    """
    return not spec.is_hub or _digest(spec) in _trusted(workspace)


def trust(spec: BackboneSpec, workspace: Workspace) -> None:
    """Remember that a SavedModel may run; of a backbone of the table nothing is said.

    Raises:
        WeightsError, WorkspaceError: as `is_trusted`; the workspace cannot be written.
    """
    if is_trusted(spec, workspace):
        return
    since = datetime.now().astimezone().isoformat("T", "seconds")
    models = {**_trusted(workspace), _digest(spec): {"name": spec.name, "since": since}}
    write_atomically(workspace.trusted_path, to_json({"models": models}, indent=2) + "\n")


def check_trusted(spec: BackboneSpec, trusted: bool) -> None:
    """Refuse a SavedModel that is not trusted.

    Raises:
        UntrustedModelError: it is not.
    """
    if spec.is_hub and not trusted:
        raise UntrustedModelError(
            f"{WARNING}, so it runs only where somebody trusts it, and {spec.name} is not trusted "
            f"here yet: if you know who made it, run `retrain bottlenecks` once with "
            f"{setting('trust_model', True)}"
        )


def _digest(spec: BackboneSpec) -> str:
    return digest_folder(find_saved_model(spec.hub_source))


def _trusted(workspace: Workspace) -> dict[str, Any]:
    """Digests of the trusted models, with what is known of each."""
    path = workspace.trusted_path
    try:
        models = json.loads(read_file(path, _MOST_BYTES))["models"]
        return {str(digest): known for digest, known in models.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WorkspaceError(
            f"{path} names the SavedModels that may run, and cannot be read ({error}): delete it, "
            f"and give {setting('trust_model', True)} again"
        ) from error
