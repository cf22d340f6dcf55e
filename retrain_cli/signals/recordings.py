"""Recordings of one or several channels, from CSV, NumPy and WAV files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.text_files import read_text, rows_of
from retrain_cli.errors import DatasetError
from retrain_cli.files import check_ordinary

SUFFIXES = (".csv", ".tsv", ".txt", ".npy", ".wav")
_TEXT = (".csv", ".tsv", ".txt")
_TIME = re.compile(
    r"(time|times|timestamp|datetime|date|zeit|datum|temps|seconds|index|sample|t)?"
    r"([ _.-]*(s|ms|us|ns|sec|utc|local))?( *[\[(].*)?",
    re.IGNORECASE,
)
"""Names of columns that say when, and are no channel unless they are asked for."""
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_PIECE = 1 << 20
MOST = 1e100
"""Larger samples are no readings, and their squares no numbers."""


@dataclass(frozen=True)
class Recording:
    """A signal.

    Attributes:
        path: the file.
        samples: `(n_samples, n_channels)`, of any real dtype; finite. Of NumPy and WAV files it
            stays on the disk until it is read.
        channels: name of each channel.
        rate: samples a second, or None where nobody says.
        labels: label of each sample, where a column has them.
    """

    path: Path
    samples: NDArray[Any]
    channels: tuple[str, ...]
    rate: float | None
    labels: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def window(self, start: int, length: int) -> NDArray[np.float64]:
        """Samples from `start` on, `(length, n_channels) float64`."""
        return np.asarray(self.samples[start : start + length], np.float64)


@dataclass(frozen=True)
class Range:
    """How the samples of each channel are spread, each `(n_channels,) float64`."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]

    @classmethod
    def of(cls, samples: NDArray[Any]) -> Range:
        """That of all samples, `(n_samples, n_channels)`; memory does not grow with their number.

        The deviation is summed over the distances from the mean, in a second pass, so that a large
        mean does not drown it.
        """
        total = sum(piece.sum(axis=0) for piece in _pieces(samples))
        mean = np.asarray(total / len(samples), np.float64)
        squares = sum(((piece - mean) ** 2).sum(axis=0) for piece in _pieces(samples))
        lowest = np.min([piece.min(axis=0) for piece in _pieces(samples)], axis=0)
        highest = np.max([piece.max(axis=0) for piece in _pieces(samples)], axis=0)
        return cls(mean, np.sqrt(np.asarray(squares / len(samples), np.float64)), lowest, highest)


def read_recording(
    path: Path,
    channels: Sequence[str] = (),
    rate: float | None = None,
    label_column: str | None = None,
) -> Recording:
    """Read a recording; nothing in the file is run.

    Args:
        path: a .csv (or .tsv, .txt) file with a channel a column, a .npy file `(n_samples,)` or
            `(n_samples, n_channels)`, or a .wav file.
        channels: names of the channels to take, or their numbers from 1 on; all where it is empty.
        rate: samples a second; a WAV file says it itself.
        label_column: name of the column of a text file that has each sample's label.

    Raises:
        DatasetError: it cannot be read, has no such column, or holds what is no finite number.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DatasetError(
            f"a signal is one of {', '.join(SUFFIXES)}; received {str(path)!r}: save it as one"
        )
    if label_column is not None and suffix not in _TEXT:
        raise DatasetError(
            f"a {suffix} file has no column of labels; received {str(path)!r} and "
            f"{label_column!r}: list its events in a file of their own"
        )
    try:
        check_ordinary(path)
        if suffix in _TEXT:
            recording = _read_text(path, channels, rate, label_column)
        else:
            samples, own_rate = _read_wav(path) if suffix == ".wav" else (_read_numpy(path), None)
            recording = _of_array(path, samples, channels, own_rate or rate)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(
            f"{str(path)!r} cannot be read as a signal ({reason}): repair it or leave it out"
        ) from error
    _check_finite(recording)
    return recording


def _read_numpy(path: Path) -> NDArray[Any]:
    return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _read_wav(path: Path) -> tuple[NDArray[Any], float]:
    """Samples as the file has them, and how many there are a second."""
    from scipy.io import wavfile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # notes of a recorder in the file
        try:
            rate, samples = wavfile.read(path, mmap=True)
        except ValueError:  # 24 bits a sample cannot be mapped
            rate, samples = wavfile.read(path)
    return samples, float(rate)


def _of_array(
    path: Path, samples: NDArray[Any], wanted: Sequence[str], rate: float | None
) -> Recording:
    """A recording of numbers without names; channels are called 1, 2 and so on."""
    if samples.dtype.kind not in "fiub" or samples.ndim not in (1, 2) or samples.size == 0:
        raise ValueError(
            f"an array of {samples.dtype} and shape {samples.shape}, in place of real numbers with "
            "a row a sample and a column a channel"
        )
    if samples.ndim == 1:
        samples = samples[:, None]
    names = [str(number + 1) for number in range(samples.shape[1])]
    columns = _columns(path, names, wanted)
    if columns != list(range(len(names))):
        samples = samples[:, columns]
    return Recording(path, samples, tuple(names[column] for column in columns), rate)


def _read_text(
    path: Path, wanted: Sequence[str], rate: float | None, label_column: str | None
) -> Recording:
    """A recording of a text file: a header, if there is one, then a line a sample."""
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    delimiter = delimiter_of(lines)
    if delimiter != ",":  # such files come with a comma in their numbers
        lines = [_DECIMAL_COMMA.sub(".", line) for line in lines]
    rows = [_cells(line, delimiter) for line in lines[:2]]
    header = [cell.strip().lstrip("# ") for cell in rows[0]] if rows else []
    is_header = bool(rows) and _is_header(rows[0], rows[-1])
    first = 1 if is_header else 0
    if len(lines) <= first:
        raise ValueError("it has no line of samples")
    names = header if is_header else [str(number + 1) for number in range(len(header))]
    labels = None
    if label_column is not None:
        place = _column_named(path, names, label_column)
        text = np.loadtxt(
            lines[first:], str, delimiter=delimiter, quotechar='"', usecols=[place], comments=None
        )
        labels = np.char.strip(np.atleast_1d(text))
    columns = _columns(path, names, wanted)
    if not wanted:
        example = _cells(lines[first], delimiter)
        columns = [
            column
            for column in columns
            if not _TIME.fullmatch(names[column])
            and names[column] != label_column
            and column < len(example)
            and _is_number(example[column])
        ]
    if not columns:
        raise ValueError("none of its columns is a channel of numbers")
    try:
        samples = np.loadtxt(
            lines[first:],
            delimiter=delimiter,
            quotechar='"',
            usecols=columns,
            ndmin=2,
            comments=None,
        )
    except ValueError:
        _tell_gap(lines[first:], delimiter, [(column, names[column]) for column in columns])
        raise
    return Recording(path, samples, tuple(names[column] for column in columns), rate, labels)


def delimiter_of(lines: Sequence[str]) -> str:
    """What stands between the cells of a file: the one that its first two lines have most of."""
    return max(";\t,", key=lambda one: min((line.count(one) for line in lines[:2]), default=0))


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether a first line has names: no number at all, or words above numbers."""
    above = [not _is_number(one) and _is_number(other) for one, other in zip(first, second)]  # noqa: B905 - a short line is told later
    return not any(map(_is_number, first)) or any(above)


def _tell_gap(lines: Sequence[str], delimiter: str, columns: Sequence[tuple[int, str]]) -> None:
    """Name the first cell that is no number; say nothing where all are.

    Raises:
        ValueError: naming sample and channel, as for a NaN.
    """
    for number, line in enumerate(lines):
        cells = _cells(line, delimiter)
        for column, name in columns:
            cell = cells[column].strip() if column < len(cells) else ""
            try:
                float(cell)
            except ValueError:
                what = repr(cell) if cell else "nothing"
                raise ValueError(
                    f"sample {number:,} of channel {name} is {what} in place of a number"
                ) from None


def _cells(line: str, delimiter: str) -> list[str]:
    return next(iter(rows_of(line, delimiter)), [])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip() == ""  # a gap in a column of numbers is told where it is read
    return True


def _columns(path: Path, names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Places of the channels that are asked for; of all where none is."""
    if not wanted:
        return list(range(len(names)))
    return [_column_named(path, names, name) for name in wanted]


def _column_named(path: Path, names: Sequence[str], wanted: str) -> int:
    """Place of a column by its name, or by its number from 1 on.

    Raises:
        DatasetError: there is none.
    """
    if wanted in names:
        return list(names).index(wanted)
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    raise DatasetError(f"{str(path)!r} has no column {wanted!r}: it has {shown}")


def _pieces(samples: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """The samples in order, some at a time."""
    for start in range(0, len(samples), _PIECE):
        yield np.asarray(samples[start : start + _PIECE], np.float64)


def _check_finite(recording: Recording) -> None:
    """Refuse what no picture can be made of.

    Raises:
        DatasetError: naming the first sample that is no finite number.
    """
    if recording.samples.dtype.kind != "f":
        return
    for number, piece in enumerate(_pieces(recording.samples)):
        bad = np.argwhere(~(np.abs(piece) <= MOST))
        if len(bad):
            sample, channel = bad[0].tolist()
            raise DatasetError(
                f"every sample of a signal must be a number below {MOST:g}; "
                f"{str(recording.path)!r} has {piece[sample, channel]} at sample "
                f"{number * _PIECE + sample:,} of channel {recording.channels[channel]}: fill the "
                "gap or cut the recording there"
            )
