"""`retrain signals`: recordings in, a folder of images for each label out."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retrain_cli import interrupts
from retrain_cli.durable import draft_folder, make_folder
from retrain_cli.errors import DatasetError, setting
from retrain_cli.notebook.bars import counted
from retrain_cli.notebook.sheets import Cell, Grid, sheet
from retrain_cli.parallel import bounded_map, usable_processors
from retrain_cli.paths import as_path, as_paths
from retrain_cli.signals.events import (
    Event,
    ListedEvent,
    check_files,
    commonest,
    events_of,
    read_events,
    stretches,
)
from retrain_cli.signals.pictures import draw_window
from retrain_cli.signals.recordings import Range, Recording, read_recording
from retrain_cli.signals.windows import (
    Cutting,
    Window,
    Windows,
    labelled_windows,
    plain_windows,
)
from retrain_cli.workflows.signals.kept_drawing import (
    drawing_like,
    keep_drawing,
    same_as_before,
)
from retrain_cli.workflows.signals.listing import LISTING, Row, check_owners, replace_rows
from retrain_cli.workflows.signals.named_recordings import NOTE, NamedRecording, named_recordings
from retrain_cli.workflows.signals.request import Drawing, SignalRequest
from retrain_cli.workflows.sort_photos import folder_names
from retrain_cli.workspace import writing_to

NORMAL = "normal"
_DRAWING = counted("images")
LEAST_GROUPS = 3
"""One for each of training, validation and test."""
_HELD_BYTES = 1 << 30


class _Cut(NamedTuple):
    """A recording and the windows that are drawn of it."""

    named: NamedRecording
    windows: Windows
    rate: float | None


@dataclass(frozen=True)
class SignalSummary:
    """What was drawn.

    Attributes:
        output: the folder.
        drawing: how.
        recordings: how many.
        channels: names of the channels of the first recording.
        images: number of images by label; of None where nobody says what they show.
        groups: number of groups by label, which are what is split.
        left_out: number of windows that were not drawn, by reason.
    """

    output: Path
    drawing: Drawing
    recordings: int
    channels: tuple[str, ...]
    images: Mapping[str | None, int]
    groups: Mapping[str | None, int]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        rows: list[list[Cell]] = [
            [label or "not said", count, self.groups[label]]
            for label, count in sorted(self.images.items(), key=lambda pair: pair[0] or "")
        ]
        left_out = [f"{reason}: {count:,}" for reason, count in self.left_out.items()]
        return sheet(
            f"{sum(self.images.values()):,} images in {self.output}",
            f"recordings: {self.recordings:,}; channels: {', '.join(self.channels)}",
            Grid(("label", "images", "groups"), rows),
            f"windows left out, {', '.join(left_out)}" if left_out else "",
        )


def draw_signals(
    request: SignalRequest, on_progress: Callable[[int, int], None] = _DRAWING
) -> SignalSummary:
    """Draw the windows of recordings as PNG images, and list them in `windows.csv`.

    Everything is read and checked before the first image is written. An image has its name when it
    is whole; those of an earlier time of the same recordings give way.

    Args:
        request: what to draw.
        on_progress: is told how many images are done, of how many.

    Raises:
        DatasetError: a recording cannot be drawn, or the folder holds something else.
        WorkspaceError: the folder cannot be written.
    """
    output = as_path(request.output)
    kept = same_as_before(output, drawing_like(request))
    drawing = kept.drawing
    ignore = [output, *([as_path(request.events)] if request.events else [])]
    named = named_recordings(as_paths(request.recordings), ignore)
    shelf = _Shelf(replace(request, rate=request.rate or kept.rate), drawing)
    for one in named:
        kept = kept.with_recording(shelf.get(one))
    cuts = _cut_all(named, request, drawing, shelf)
    folders = _folders(cuts)
    painters = [_Painter(cut.named.stem, drawing, output, folders) for cut in cuts]
    rows = [
        painter.row(window, cut)
        for cut, painter in zip(cuts, painters, strict=True)
        for window in cut.windows.kept
    ]
    listing = output / LISTING
    check_owners(listing, rows)
    keep_drawing(output, kept)
    replace_rows(listing, rows)
    done = 0
    workers = usable_processors()
    with draft_folder(output) as drafts, ThreadPoolExecutor(workers) as pool:
        for cut, painter in zip(cuts, painters, strict=True):
            paint = painter.painting(shelf.get(cut.named), drafts)
            for _ in bounded_map(pool, paint, cut.windows.kept, 4 * workers):
                done += 1
                on_progress(done, len(rows))
                interrupts.check()
    return _summary(request, drawing, cuts, kept.names)


def _folders(cuts: Sequence[_Cut]) -> Mapping[str, str]:
    """The folder of each label; none has the name of a file that lies beside them."""
    labels = {window.label for cut in cuts for window in cut.windows.kept}
    names = folder_names(label for label in labels if label is not None)
    own = {LISTING.casefold(), NOTE.casefold()}
    return {label: f"_{name}" if name.casefold() in own else name for label, name in names.items()}


class _Shelf:
    """Recordings that were read once; such as are held in memory only up to a bound."""

    def __init__(self, request: SignalRequest, drawing: Drawing) -> None:
        self._request, self._drawing = request, drawing
        self._held: dict[Path, Recording] = {}
        self._bytes = 0

    def get(self, named: NamedRecording) -> Recording:
        """The recording.

        Raises:
            DatasetError: it cannot be read, or is shorter than a window.
        """
        if named.path in self._held:
            return self._held[named.path]
        recording = read_recording(
            named.path, self._drawing.channels, self._request.rate, self._request.label_column
        )
        _check_length(recording, self._drawing.window)
        is_mapped = isinstance(recording.samples, np.memmap)  # it stays on the disk
        size = 0 if is_mapped else recording.samples.nbytes
        if self._bytes + size <= _HELD_BYTES:
            self._bytes += size
            self._held[named.path] = recording
        return recording


def _check_length(recording: Recording, window: int) -> None:
    """Raises: DatasetError: it is shorter than a window."""
    samples, channels = recording.samples.shape
    if samples >= window:
        return
    turned = ""
    if channels >= window:
        turned = "its rows must be samples and its columns channels: turn it round, or "
    raise DatasetError(
        f"a signal must be at least as long as a window, {window:,} samples; "
        f"{str(recording.path)!r} has {samples:,}: {turned}choose a smaller {setting('window')} "
        "or leave it out"
    )


def _cut_all(
    named: Sequence[NamedRecording], request: SignalRequest, drawing: Drawing, shelf: _Shelf
) -> list[_Cut]:
    """The windows of all recordings.

    Raises:
        DatasetError: some recordings have a label and others none, or no window is left.
    """
    listed = read_events(as_path(request.events)) if request.events else None
    check_files(listed or [], [one.path for one in named])
    by_folder = listed is None and request.label_column is None
    if by_folder and len({one.label is None for one in named}) > 1:
        bare = next(one.path for one in named if one.label is None)
        raise DatasetError(
            f"recordings lie in a sub-folder for each label, or all without one; {str(bare)!r} has "
            "no label and others have: move it into a sub-folder or leave it out"
        )
    background = request.background or NORMAL
    if request.label_column is not None and request.background is None:
        background = _commonest_label(named, shelf)
    cutting = request.cutting(drawing)
    cuts = []
    for one in named:
        recording = shelf.get(one)
        windows = _windows(recording, one.label, listed, background, cutting)
        cuts.append(_Cut(one, windows, recording.rate))
    if not any(cut.windows.kept for cut in cuts):
        raise DatasetError(
            "no window shows one thing alone, so there is nothing to draw: choose a smaller "
            f"{setting('window')} or {setting('overlap')}"
        )
    return cuts


def _commonest_label(named: Sequence[NamedRecording], shelf: _Shelf) -> str:
    every: list[Event] = []
    for one in named:
        labels = shelf.get(one).labels
        every += stretches(labels) if labels is not None else []
    return commonest(every)


def _windows(
    recording: Recording,
    label: str | None,
    listed: list[ListedEvent] | None,
    background: str,
    cutting: Cutting,
) -> Windows:
    if recording.labels is not None:
        runs = [run for run in stretches(recording.labels) if run.label != background]
        return labelled_windows(len(recording), cutting, runs, background)
    if listed is not None:
        return labelled_windows(len(recording), cutting, events_of(recording, listed), background)
    return plain_windows(len(recording), cutting, label)


class _Painter:
    """Draws and writes the windows of one recording."""

    def __init__(
        self, stem: str, drawing: Drawing, output: Path, folders: Mapping[str, str]
    ) -> None:
        self._stem, self._drawing = stem, drawing
        self._output, self._folders = output, folders

    def image(self, window: Window) -> Path:
        """Where the image of a window is, below the output folder."""
        if window.label is None:
            return Path(f"{self._stem}-{window.start:010}.png")
        name = f"{self._stem}-{window.group:010}_nohash_{window.start:010}.png"
        return Path(self._folders[window.label], name)

    def row(self, window: Window, cut: _Cut) -> Row:
        """What the list says of it."""
        seconds = window.start / cut.rate if cut.rate else None
        end = window.start + self._drawing.window
        image = self.image(window).as_posix()
        return Row(image, str(cut.named.path), window.start, end, seconds, window.label)

    def painting(self, recording: Recording, drafts: Path) -> Callable[[Window], None]:
        """What draws and writes an image; many threads may call it, which raises WorkspaceError.

        Args:
            recording: what windows are of.
            drafts: folder for unfinished images.
        """
        drawing = self._drawing
        spread = Range.of(recording.samples) if drawing.scale == "recording" else None

        def paint(window: Window) -> None:
            samples = recording.window(window.start, drawing.window)
            data = io.BytesIO()
            draw_window(samples, drawing.picture, drawing.size, spread).save(
                data, "PNG", compress_level=1
            )
            target = self._output / self.image(window)
            draft = drafts / f"{self._stem}-{window.start}.png"
            with writing_to(target):
                make_folder(target.parent)
                draft.write_bytes(data.getvalue())
                os.replace(draft, target)  # noqa: PTH105 - whole or not at all, and over an old one

        return paint


def _summary(
    request: SignalRequest, drawing: Drawing, cuts: Sequence[_Cut], channels: tuple[str, ...]
) -> SignalSummary:
    images: Counter[str | None] = Counter()
    groups: Counter[str | None] = Counter()
    left_out: Counter[str] = Counter()
    for cut in cuts:
        images.update(window.label for window in cut.windows.kept)
        pairs = {(window.label, window.group) for window in cut.windows.kept}
        groups.update(label for label, _ in pairs)
        left_out.update(cut.windows.left_out)
    return SignalSummary(
        as_path(request.output),
        drawing,
        len(cuts),
        channels,
        dict(images),
        dict(groups),
        dict(left_out),
    )
