"""What a workspace remembers between commands: the dataset and the backbone last used."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import SUCCESSOR
from retrain_cli.cache.cache_files import cache_file
from retrain_cli.checks import check_types
from retrain_cli.datasets.layout import LayoutChoice
from retrain_cli.datasets.origins import ClassOrigin, match_origins
from retrain_cli.datasets.source_classes import load_source_classes
from retrain_cli.errors import CacheError, ConfigError, DatasetError, WorkspaceError, setting
from retrain_cli.runs.shell import shell_line
from retrain_cli.similarity.near_duplicates import Grouping
from retrain_cli.storage.urls import absolute_place
from retrain_cli.workspace import Workspace

_KEY, _BACKBONES = "last_used", "backbones"
_SUCCEEDED = ("--backbone", SUCCESSOR)


@dataclass(frozen=True)
class LastUsed:
    """The dataset and backbone of the last `retrain bottlenecks`.

    Attributes:
        image_dir: the image folder, absolute; or its URL.
        backbone: the resolved backbone.
        source_classes: imagenet, none, or the path of a file.
        int_ext: path of the override file, or None.
        complete: whether every photo was looked at; not so after an interruption.
        remembered: the backbone's fingerprint when this was saved; None in what older versions
            saved.
        group: near-duplicates where these are split groups, else None.
        layout: what the first level of the folder was said to be.
        views: how many distorted views of each photo there are beside it.
        distortion: how they differ from it, as `Distortion` says it; empty where there are none.
    """

    image_dir: PurePath
    backbone: BackboneSpec
    source_classes: str
    int_ext: Path | None
    complete: bool = False
    remembered: str | None = None
    group: Grouping | None = None
    layout: LayoutChoice = "auto"
    views: int = 0
    distortion: str = ""

    @property
    def fingerprint(self) -> str:
        """What names the cache; where it is remembered, the weights file need not be there.

        Raises:
            RetrainError: it is not remembered, and the weights file is gone.
        """
        return self.remembered or self.backbone.fingerprint()

    def origins(self, class_names: tuple[str, ...]) -> list[ClassOrigin]:
        """INT or EXT for each class.

        Raises:
            DatasetError: the override file or the list of source classes is wrong.
        """
        return match_origins(class_names, load_source_classes(self.source_classes), self.int_ext)

    def save(self, workspace: Workspace) -> None:
        """Remember this in `workspace`, and the backbone beside those of before."""
        entry = {
            "image_dir": str(self.image_dir),
            "backbone": asdict(self.backbone),
            "source_classes": self.source_classes,
            "int_ext": str(self.int_ext) if self.int_ext else None,
            "complete": self.complete,
            "fingerprint": (fingerprint := self.backbone.fingerprint()),
            "group": self.group,
            "layout": self.layout,
            "views": self.views,
            "distortion": self.distortion,
        }
        state = workspace.read_state()
        known = state.get(_BACKBONES)
        kept = known if isinstance(known, dict) else {}
        backbones = {**kept, fingerprint: entry["backbone"]}
        workspace.write_state({**state, _KEY: entry, _BACKBONES: backbones})

    def check_complete(self) -> None:
        """Refuse a dataset of which only a part is known: its last classes would be missing.

        Raises:
            DatasetError: the last `retrain bottlenecks` did not come to its end, or was a shard.
        """
        if not self.complete:
            raise DatasetError(
                f"training needs every photo of {self.image_dir}, and this workspace has a part of "
                "them: run `retrain bottlenecks` to its end, nothing is computed twice; or, if "
                "this is a shard, train where `retrain cache merge` brings all of them together"
            )

    @classmethod
    def load(cls, workspace: Workspace) -> LastUsed:
        """What was last used in `workspace`.

        Raises:
            WorkspaceError: nothing was, or what is remembered cannot be read.
        """
        entry = workspace.read_state().get(_KEY)
        if entry is None:
            raise WorkspaceError(
                f"this needs bottlenecks, and the workspace {workspace.root} has none: run "
                "`retrain bottlenecks IMAGE_DIR` first, or name its workspace with "
                f"{setting('workspace')}"
            )
        try:
            used = cls(
                absolute_place(entry["image_dir"]),
                BackboneSpec.from_dict(entry["backbone"]),
                entry["source_classes"],
                Path(entry["int_ext"]) if entry["int_ext"] else None,
                entry["complete"],
                entry.get("fingerprint"),
                entry.get("group"),
                entry.get("layout", "auto"),
                entry.get("views", 0),
                entry.get("distortion", ""),
            )
            check_types(used)
        except (KeyError, TypeError, AttributeError, ConfigError) as error:
            raise WorkspaceError(
                f"{workspace.state_path} is damaged ({error!r}): delete it and run `retrain "
                "bottlenecks IMAGE_DIR` again; nothing is computed twice"
            ) from error
        used._check_not_retired()
        return used

    def _check_not_retired(self) -> None:
        """Refuse vectors that no new photo can be compared with."""
        if self.backbone.is_retired:
            again = shell_line(("retrain", "bottlenecks", str(self.image_dir), *_SUCCEEDED))
            raise WorkspaceError(
                f"bottlenecks must be of a backbone that retrain has, and the last ones here are "
                f"of {self.backbone.name}, which it no longer has: run `{again}`, then `retrain "
                "train`; earlier runs keep their evaluations"
            )


def known_backbones(workspace: Workspace) -> dict[str, BackboneSpec]:
    """Every backbone that was used in `workspace`, by its fingerprint; what is damaged is not told.

    Versions before remembered the last one alone.
    """
    found: dict[str, BackboneSpec] = {}
    entries = workspace.read_state().get(_BACKBONES)
    for fingerprint, entry in entries.items() if isinstance(entries, dict) else ():
        with suppress(ConfigError, TypeError):
            found[fingerprint] = BackboneSpec.from_dict(entry)
    return found


def used_cache(workspace: Workspace, used: LastUsed) -> Path:
    """The cache file of what was last used; the backbone's weights need not be there any more.

    Raises:
        CacheError: the file is gone.
    """
    path = cache_file(workspace, used.fingerprint)
    if path is None:
        raise CacheError(
            f"the bottlenecks of {used.image_dir} should be in {workspace.cache_dir} and are not: "
            "run `retrain bottlenecks` again, or put the cache file back"
        )
    return path
