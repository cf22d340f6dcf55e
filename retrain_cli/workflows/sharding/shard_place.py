"""Where the shards of a dataset are computed: each in a workspace of its own within that of all.

.retrain/shards/inception_v3-1a2b3c4d5e6f-auto-auto-of-16/
settled/      what the first one settled, for all of them
03/           the workspace of shard 3, with `shard.json`
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from retrain_cli import waiting
from retrain_cli.backbones.machine import Choice
from retrain_cli.backbones.runtimes.kept_models import converted_from
from retrain_cli.backbones.spec import AUTO_LAYER, BackboneSpec
from retrain_cli.checks import check_types
from retrain_cli.datasets.shards import Shard
from retrain_cli.errors import ConfigError, WorkspaceError, setting
from retrain_cli.files import parse_json, read_file
from retrain_cli.locking import translated_lock_errors
from retrain_cli.workflows.sharding.settled import Settled
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace, write_atomically, writing_to

SETTLED = "settled"
RECORD = "shard.json"
_MOST_BYTES = 1 << 20


class Settle(Protocol):
    """Settles a backbone by what a workspace holds."""

    def __call__(self, spec: BackboneSpec, /, *, workspace: Workspace) -> Choice:
        """The backbone, settled."""
        ...


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What the workspace of a shard says of itself.

    Attributes:
        shard: such as 3/16.
        asked: the name of what shards of one dataset have in common, whatever they settled.
        fingerprint: of the backbone, settled.
        backbone: the same for people.
        image_dir: the image folder on the machine that computed it.
        dataset: what tells its photos from those of other folders, wherever the folder lies.
        photos: usable ones in it; 0 while it is at work.
        complete: whether it came to its end.
    """

    shard: str
    asked: str
    fingerprint: str
    backbone: str
    image_dir: str
    dataset: str = ""
    photos: int = 0
    complete: bool = False

    @classmethod
    def load(cls, folder: Path) -> ShardRecord | None:
        """That of a folder; None where the folder is no shard.

        Raises:
            WorkspaceError: it cannot be read.
        """
        path = folder / RECORD
        try:
            record = cls(**parse_json(read_file(path, _MOST_BYTES)))
            check_types(record)
            Shard.parse(record.shard)
            return record
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, ConfigError) as error:
            raise WorkspaceError(
                f"{path} must say which shard this is, and cannot be read ({error}): run that "
                "shard again; nothing is computed twice"
            ) from error

    def save(self, folder: Path) -> None:
        """Write it.

        Raises:
            WorkspaceError: the folder cannot be written.
        """
        write_atomically(folder / RECORD, json.dumps(asdict(self), indent=2) + "\n")


@dataclass(frozen=True, slots=True)
class ShardProgress:
    """How far the shards of a dataset are that are known here.

    Attributes:
        shard: the one at hand.
        done: numbers of those that came to their end.
        missing: numbers of all others.
        settled: the folder of what the first one settled.
    """

    shard: Shard
    done: tuple[int, ...]
    missing: tuple[int, ...]
    settled: Path


@dataclass(frozen=True)
class ShardPlace:
    """Where one shard is computed.

    Attributes:
        shard: which one.
        whole: the workspace of the whole dataset.
        folder: of all its shards.
        settled: the folder of what the first one settled.
    """

    shard: Shard
    whole: Workspace
    folder: Path
    settled: Path

    @classmethod
    def of(
        cls, shard: Shard, spec: BackboneSpec, whole: Workspace, settled: Path | None
    ) -> ShardPlace:
        """The place of a shard of a backbone, resolved but perhaps not settled.

        Raises:
            WorkspaceError: nothing was settled in the folder that the user names.
        """
        if settled is not None and Settled.load(settled) is None:
            raise WorkspaceError(
                f"{setting('settled')} takes the folder that the first shard wrote, and {settled} "
                "is none: copy it from there; the first shard says where it lies"
            )
        asked = (converted_from(spec).slug(), spec.precision, spec.runtime, spec.model)
        name = "-".join(part for part in asked if part)
        folder = whole.shards_dir / f"{name}-of-{shard.count}"
        return cls(shard, whole, folder, settled or folder / SETTLED)

    @property
    def workspace(self) -> Workspace:
        """The shard's own."""
        digits = len(str(self.shard.count))
        return Workspace(self.folder / f"{self.shard.number:0{digits}}")

    def settle(self, spec: BackboneSpec, settle: Settle, *, keep: bool) -> Choice:
        """As the first shard has settled it; the first one of all settles it by the whole.

        Args:
            spec: the backbone, resolved.
            settle: settles it where nobody has yet.
            keep: whether the others are to take what is settled here.

        Raises:
            RetrainError: as of `settle`; what was settled is for another backbone.
        """
        with self._alone() if keep else nullcontext():
            settled, note = Settled.load(self.settled), ""
            if settled is None:
                choice = settle(spec, workspace=self.whole)
                if not keep:
                    return choice
                settled, note = Settled.of(choice.backbone), choice.note
                settled.save(self.settled, self.whole.models_dir, choice.backbone)
        return Choice(settled.applied_to(spec, self.settled, self.workspace), note)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two shards that start at once settle one after the other."""
        from filelock import FileLock

        with writing_to(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "settling")
        with waiting.for_("settling what all shards have in common"):
            with translated_lock_errors(self.folder):
                lock.acquire()
            try:
                yield
            finally:
                lock.release()

    def keep_record(
        self, used: LastUsed, classes: Sequence[str], photos: int = 0, *, complete: bool
    ) -> None:
        """Say in the shard's workspace which shard it is, and whether it is at its end."""
        spec = used.backbone
        about = json.dumps([used.image_dir.name, *classes])
        record = ShardRecord(
            str(self.shard),
            self.folder.name,
            spec.fingerprint(),
            spec.label(),
            str(used.image_dir),
            hashlib.blake2b(about.encode(), digest_size=6).hexdigest(),
            photos,
            complete,
        )
        record.save(self.workspace.root)

    @property
    def progress(self) -> ShardProgress:
        """How far the shards beside this one are; one whose record cannot be read is missing."""
        complete: set[tuple[str, int]] = set()
        for path in self.folder.glob(f"*/{RECORD}"):
            with suppress(WorkspaceError):
                record = ShardRecord.load(path.parent)
                if record is not None and record.complete:
                    complete.add((record.dataset, Shard.parse(record.shard).number))
        own = ShardRecord.load(self.workspace.root)
        done = {number for dataset, number in complete if own and dataset == own.dataset}
        every = range(1, self.shard.count + 1)
        missing = tuple(number for number in every if number not in done)
        return ShardProgress(self.shard, tuple(sorted(done)), missing, self.settled)


def settle_shard(
    spec: BackboneSpec, whole: Workspace, place: ShardPlace | None, settle: Settle, *, keep: bool
) -> Choice:
    """A backbone as it was settled for all shards; where this is none, by the workspace alone."""
    if place is None:
        return settle(spec, workspace=whole)
    return place.settle(spec, settle, keep=keep)


def check_shard(request: Any) -> None:
    """Refuse what a part of the photos cannot tell, of a `BottleneckRequest`.

    Raises:
        ConfigError: there is such, or it is no part.
    """
    if request.shard is None:
        if request.settled is not None:
            raise ConfigError(
                f"{setting('settled')} is for shards: add {setting('shard', '3/16')}, or leave it "
                "out"
            )
        return
    Shard.parse(request.shard)
    if request.group is not None:
        raise ConfigError(
            f"near duplicates are looked for among all photos, and a shard sees a part: leave "
            f"{setting('group')} out, and give it to `retrain bottlenecks` after `retrain cache "
            "merge`"
        )
    if request.backbone.layer == AUTO_LAYER:
        raise ConfigError(
            f"{setting('layer', AUTO_LAYER)} compares layers on all photos, and a shard sees a "
            "part: choose a layer on a small folder of them first, then name it to all shards"
        )


def shards_in(folder: Path) -> list[tuple[Path, ShardRecord]]:
    """The workspaces of shards at, below or two levels below a folder, with their records, by name.

    Raises:
        WorkspaceError: a record cannot be read.
    """
    found = [
        (path.parent, ShardRecord.load(path.parent))
        for pattern in (RECORD, f"*/{RECORD}", f"*/*/{RECORD}")
        for path in sorted(folder.glob(pattern))
    ]
    return [(path, record) for path, record in found if record is not None]


def in_words(numbers: Sequence[int]) -> str:
    """Ascending numbers in brief, such as `1, 4-16`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)
