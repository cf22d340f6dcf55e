"""Where everything of the tool's state lives on disk, and who may write to it.

.retrain/
    state.json      what was last used here
    trusted_models.json  which SavedModels may run here
    index.sqlite    which photo files were seen, with their content digests
    photos.sqlite   size, brightness, perceptual hash and near duplicates of each photo
    cache/          one SQLite file of bottlenecks per backbone fingerprint
    cache/models/   networks converted for OpenVINO
    runs/           one folder per trained head
    finetuning/     where fine-tunings stand that are not at their end
    studies/        the finished trials of each study
    shards/         parts of a dataset, each in a workspace of its own
    lock            held by the command that fills the cache
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain_cli.durable import draft_folder, sweep_drafts, sync
from retrain_cli.errors import WorkspaceError, setting
from retrain_cli.files import read_file
from retrain_cli.locking import cannot_lock, says_no_locks, translated_lock_errors
from retrain_cli.paths import StrPath, absolute, as_path

DEFAULT_FOLDER = ".retrain"
ENVIRONMENT_VARIABLE = "RETRAIN_WORKSPACE"


@dataclass(frozen=True)
class Workspace:
    """A workspace folder; it need not exist yet."""

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", as_path(self.root))  # a text is a path, too

    @classmethod
    def locate(cls, explicit: StrPath | None = None) -> Workspace:
        """`explicit` (`--workspace`), else $RETRAIN_WORKSPACE, else `.retrain` in this folder."""
        chosen = explicit or Path(os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_FOLDER)
        return cls(absolute(chosen))

    @property
    def cache_dir(self) -> Path:
        """Folder of the bottleneck caches."""
        return self.root / "cache"

    @property
    def models_dir(self) -> Path:
        """Folder of the converted networks."""
        return self.cache_dir / "models"

    @property
    def runs_dir(self) -> Path:
        """Folder of the trained runs."""
        return self.root / "runs"

    @property
    def tunings_dir(self) -> Path:
        """Folder of fine-tunings that are under way or were cut short."""
        return self.root / "finetuning"

    @property
    def studies_dir(self) -> Path:
        """Folder of the studies' finished trials."""
        return self.root / "studies"

    @property
    def shards_dir(self) -> Path:
        """Folder of the workspaces of shards."""
        return self.root / "shards"

    @property
    def index_path(self) -> Path:
        """The index of photo files."""
        return self.root / "index.sqlite"

    @property
    def photos_path(self) -> Path:
        """What is known of each distinct photo, whatever the backbone."""
        return self.root / "photos.sqlite"

    @property
    def trusted_path(self) -> Path:
        """Which SavedModels may run here."""
        return self.root / "trusted_models.json"

    @property
    def state_path(self) -> Path:
        """What was last used."""
        return self.root / "state.json"

    def prepare(self) -> None:
        """Create the folders; the workspace hides itself from git.

        Raises:
            WorkspaceError: they cannot be created or written.
        """
        try:
            self.cache_dir.mkdir(parents=True, exist_ok=True)
            self.runs_dir.mkdir(exist_ok=True)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
            for folder in (self.root, self.cache_dir, self.models_dir, self.root / "moves"):
                sweep_drafts(folder, older_versions=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass  # a folder can exist and yet be read-only
        except OSError as error:
            raise WorkspaceError(
                f"the workspace must be a folder that can be written; {self.root} is not "
                f"({error.strerror or error}): choose another one with "
                f"{setting('workspace', 'FOLDER')}"
            ) from error

    @contextmanager
    def lock(self, purpose: str) -> Iterator[None]:
        """Be the only command that fills this workspace while the block runs.

        Raises:
            WorkspaceError: another command holds the lock, which is named in the message; or the
                file system cannot lock.
        """
        from filelock import FileLock, Timeout

        held_by = self.root / "lock.owner"
        lock = FileLock(self.root / "lock", timeout=0)
        try:
            with translated_lock_errors(self.root):
                lock.acquire()
        except Timeout as error:
            owner = _read_text(held_by) or "another command"
            raise WorkspaceError(
                f"one command at a time can fill a workspace; {owner} is at work in {self.root}: "
                f"wait for it, or choose another one with {setting('workspace', 'FOLDER')}"
            ) from error
        try:
            with suppress(OSError):  # the name is a courtesy; the lock does the work
                held_by.write_text(f"`retrain {purpose}` (process {os.getpid()})")
            yield
        finally:
            with suppress(OSError):
                held_by.unlink()
            lock.release()

    def read_state(self) -> dict[str, Any]:
        """The remembered state; empty where nothing was done here yet.

        Raises:
            WorkspaceError: the file is damaged.
        """
        text = _read_text(self.state_path)
        if text is None:
            return {}
        try:
            state = json.loads(text)
            if not isinstance(state, dict):
                raise ValueError("a record was expected")
        except (ValueError, RecursionError) as error:
            raise WorkspaceError(
                f"{self.state_path} must hold JSON and does not ({error}): delete it and run "
                "`retrain bottlenecks IMAGE_DIR` again; nothing is computed twice"
            ) from error
        return state

    def write_state(self, state: dict[str, Any]) -> None:
        """Remember `state`, atomically."""
        write_atomically(self.state_path, json.dumps(state, indent=2) + "\n")


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON with readable non-Latin text; names that are no UTF-8 are escaped, and read back so."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, allow_nan=False)
    return text


def write_atomically(path: Path, text: str) -> None:
    """Write `text` so that a reader, or a crash, finds the old content or the new, never a part.

    Raises:
        WorkspaceError: the folder cannot be written, or the disk is full.
    """
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft of the same name, in a hidden folder beside `path`, that takes its place at the end.

    Whatever stops the block, `path` stays as it was. When the block has ended, content and name
    are on the disk.

    Raises:
        WorkspaceError: the folder cannot be written, or the disk is full.
    """
    with writing_to(path), draft_folder(path.parent) as folder:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "it is no ordinary file")
        draft = folder / path.name
        yield draft
        sync(draft)
        os.replace(draft, path)  # noqa: PTH105  # tests stop the process before each of these
        sync(path.parent)


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Say in our words that `path` cannot be written, where the block raises `OSError`."""
    try:
        yield
    except OSError as error:
        if says_no_locks(error):
            raise WorkspaceError(cannot_lock(path, os.strerror(error.errno or 0))) from error
        raise WorkspaceError(
            f"{path} could not be written ({error.strerror or error}): "
            "free some space or choose another place"
        ) from error


def _read_text(path: Path) -> str | None:
    try:
        return read_file(path).decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError(
            f"{path} could not be read ({error}): check its permissions"
        ) from error
