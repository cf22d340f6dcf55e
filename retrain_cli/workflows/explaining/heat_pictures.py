"""The pictures of explained photos: drawn side by side in threads, written as they are ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from retrain_cli.durable import draft_folder
from retrain_cli.errors import DatasetError, ImageError, setting
from retrain_cli.explaining.heatmap import Heatmap
from retrain_cli.parallel import usable_processors
from retrain_cli.reports.heatmaps.channel_sheet import draw_channels
from retrain_cli.reports.heatmaps.heat_colours import Pixels, SmallPhoto, levels, palette, places
from retrain_cli.reports.heatmaps.heat_panels import SIDE, draw_panels
from retrain_cli.reports.heatmaps.heat_sheet import HeatSheet
from retrain_cli.reports.heatmaps.quick_png import is_ours, save_quickly
from retrain_cli.workflows.explaining.explainer import ExplainedPhoto
from retrain_cli.workspace import replacing, writing_to

SHEET = "sheet.svg"

_NOT_IN_NAMES, _LONGEST = frozenset('/\\:*?"<>|'), 90
"""Letters that no file has on some system, and bytes of a name that leave room for the class's."""


@dataclass(frozen=True, eq=False)
class DrawnPhoto:
    """A photo that was explained, and where its pictures are.

    Attributes:
        photo: the answer; with an error where it could not be drawn.
        picture: photo and heatmaps side by side; None for a bad file.
        maps: the heatmaps alone, in the order of the answer's.
    """

    photo: ExplainedPhoto
    picture: Path | None = None
    maps: tuple[Path, ...] = ()


class PictureWriter:
    """Draws explained photos into a folder; use it in a `with` block.

    Args:
        folder: where to; it is made, and earlier pictures of the same names are replaced. A file of
            such a name that is none of them, such as a photo, is an error and stays.
        timeout: seconds of processor time for a photo that may take very long.

    Raises:
        DatasetError: the folder is a file, or holds another file of the sheet's name.
    """

    def __init__(self, folder: Path, timeout: float) -> None:
        self._folder, self._timeout = folder, timeout
        self._names: dict[str, int] = {}
        self._sheet = HeatSheet()
        self._meaning = ""
        self._left_out = 0
        if folder.exists() and not folder.is_dir():
            raise DatasetError(
                f"{setting('output')} takes a folder, and {folder} is a file: name another one"
            )
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
        _check_replaceable(folder / SHEET)
        self._open = ExitStack()

    def __enter__(self) -> PictureWriter:
        with writing_to(self._folder):
            self._drafts = self._open.enter_context(draft_folder(self._folder))
        self._threads = ThreadPoolExecutor(usable_processors(), "heatmaps")
        self._open.callback(self._threads.shutdown, cancel_futures=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def n_left_out(self) -> int:
        """Photos for which the sheet had no room."""
        return self._left_out

    def draw(self, photos: Iterable[ExplainedPhoto]) -> Iterator[DrawnPhoto]:
        """Draw photos in order, a few of them ahead.

        Raises:
            DatasetError: a file of a picture's name is not one of ours.
        """
        ahead = 2 * usable_processors()
        waiting: deque[tuple[Future[_Drawing] | None, ExplainedPhoto]] = deque()
        for photo in photos:
            waiting.append((self._begin(photo), photo))
            while len(waiting) > ahead or (waiting and waiting[0][0] is None):
                yield self._finish(*waiting.popleft())
        while waiting:
            yield self._finish(*waiting.popleft())

    def write_sheet(self) -> Path | None:
        """Write the sheet; None where it has no photo."""
        if not self._sheet.n_photos:
            return None
        path = self._folder / SHEET
        with replacing(path) as draft:
            draft.write_text(self._sheet.svg(self._meaning), encoding="utf-8", errors="replace")
        return path

    def _begin(self, photo: ExplainedPhoto) -> Future[_Drawing] | None:
        if photo.error is not None:
            return None
        name = self._name(photo)
        _check_replaceable(self._folder / f"{name}.png")
        return self._threads.submit(self._drawing, photo, name)

    def _finish(self, drawing: Future[_Drawing] | None, photo: ExplainedPhoto) -> DrawnPhoto:
        if drawing is None:
            return DrawnPhoto(photo)
        try:
            drawn = drawing.result()
        except ImageError as error:  # it was there a moment ago
            return DrawnPhoto(replace(photo, error=str(error), heatmaps=(), placement=None))
        assert photo.placement is not None
        if photo.channels:
            return DrawnPhoto(photo, drawn.picture)
        if self._sheet.is_full:
            self._left_out += 1
        else:
            rows, columns = photo.heatmaps[0].grid.shape
            self._meaning = f"Colours: share of the evidence in one of {rows} × {columns} fields"
            if photo.heatmaps[0].is_signed:
                self._meaning += "; orange for, blue against"
            self._sheet.add(drawn.small, photo.heatmaps, photo.placement, drawn.name)
        return DrawnPhoto(photo, drawn.picture, drawn.maps)

    def _name(self, photo: ExplainedPhoto) -> str:
        """How the pictures of a photo begin: its own name, with a number where it is taken."""
        name = _plain(Path(photo.source.name).stem)
        self._names[name] = self._names.get(name, 0) + 1
        return name if self._names[name] == 1 else self._name_again(name)

    def _name_again(self, name: str) -> str:
        number = self._names[name]
        while f"{name}-{number}" in self._names:
            number += 1
        self._names[f"{name}-{number}"] = 1
        return f"{name}-{number}"

    def _drawing(self, photo: ExplainedPhoto, name: str) -> _Drawing:
        """Draw and write the pictures of one photo."""
        assert photo.placement is not None
        shown = Path(photo.source.name).name
        small = SmallPhoto.read(photo.source.locate(), SIDE, self._timeout)
        if photo.channels:
            name = f"{name}-channels"
            sheet = draw_channels(small, photo.channels, photo.placement, shown)
            return _Drawing(small, shown, self._saved(sheet, name), ())
        heats = [levels(heatmap, photo.placement, small.drawn) for heatmap in photo.heatmaps]
        picture = self._saved(draw_panels(small, photo.heatmaps, heats, shown), name)
        maps = []
        for heatmap, heat in zip(photo.heatmaps, heats, strict=True):
            signed = heatmap.is_signed
            alone = places(heat, signed=signed)
            file = f"{name}-map-{_of(heatmap)}"
            maps.append(self._saved(alone, file, palette(signed=signed)))
        return _Drawing(small, shown, picture, tuple(maps))

    def _saved(self, picture: Pixels, name: str, colours: bytes = b"") -> Path:
        """Write a picture, so that nobody sees half of it."""
        path = self._folder / f"{name}.png"
        _check_replaceable(path)
        draft = self._drafts / path.name
        with writing_to(path):
            save_quickly(picture, draft, colours)
            draft.replace(path)
        return path


@dataclass(frozen=True, eq=False)
class _Drawing:
    """What was drawn of a photo, and where it is."""

    small: SmallPhoto
    name: str
    picture: Path
    maps: tuple[Path, ...]


def _check_replaceable(path: Path) -> None:
    with writing_to(path):
        ours = is_ours(path)
    if not ours:
        raise DatasetError(
            f"only pictures of `retrain explain` are replaced, and {path} is none: choose another "
            f"folder for {setting('output')}"
        )


def _of(heatmap: Heatmap) -> str:
    parts = (heatmap.label, heatmap.against and f"not-{heatmap.against}", heatmap.layer)
    return _plain("-".join(part for part in parts if part))


def _plain(name: str) -> str:
    """A name that can be a file's on every system, and is not too long."""
    kept = "".join("_" if letter in _NOT_IN_NAMES else letter for letter in name)
    kept = "".join(letter if letter.isprintable() else "_" for letter in kept)
    cut = kept.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
    return cut.strip(" .") or "photo"
