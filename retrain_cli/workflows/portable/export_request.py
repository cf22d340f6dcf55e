"""What `retrain export` is asked for, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from retrain_cli.checks import check_choices, check_least, check_share
from retrain_cli.errors import AssertionNotMetError, ConfigError
from retrain_cli.exporting.description import ExportDescription, ExportInput, ExportPrecision
from retrain_cli.exporting.export_formats import FORMATS, FormatRow
from retrain_cli.exporting.parity import Answers, Parity, tolerance_for
from retrain_cli.notebook.sheets import Cell, Grid, sheet
from retrain_cli.paths import StrPath, as_path

ExportTarget = Literal["savedmodel", "litert", "onnx", "openvino", "keras", "web", "all"]
Quantisation = Literal["float16", "int8"]

REJECTED = ".rejected"
"""Ending of a file that does not answer as its run does."""

OnExport = Callable[[str, int, int], None]
"""Is told what is being done, and how many photos of how many are through."""


@dataclass(frozen=True)
class ExportRequest:
    """How to export a run.

    Attributes:
        run: name of the run; None for the latest.
        format: of the file; all for every one that is installed and has such weights, but for web,
            for which something is fetched.
        output: the folder to write, new or empty; None for one named by run and format here.
        quantise: smaller weights; None for float32.
        input: what the file takes; None for the most that its format can do itself.
        photos: the image folder, where it is not any more where the run was trained.
        check_photos: test photos that the file is checked on, at most.
        tolerance: the share of photos that may get another label than from the run, those left out
            that it is undecided about; for int8 how much lower the accuracy may be; None for 0.001
            and 0.01.
        max_error: the share of wrong answers above the threshold that the file carries.
    """

    run: str | None = None
    format: ExportTarget = "savedmodel"
    output: StrPath | None = None
    quantise: Quantisation | None = None
    input: ExportInput | None = None
    photos: StrPath | None = None
    check_photos: int = 200
    tolerance: float | None = None
    max_error: float = 0.05

    def __post_init__(self) -> None:
        check_choices(self)
        check_least(self, 1, "check_photos")
        check_share(self, "max_error")
        tolerance_for(self.precision, self.tolerance)
        _ = self.rows

    @property
    def precision(self) -> ExportPrecision:
        """Of the weights."""
        return self.quantise or "float32"

    @property
    def rows(self) -> tuple[FormatRow, ...]:
        """The formats to write.

        Raises:
            ConfigError: a format that has no such weights, or does not take such an input.
        """
        if self.format != "all":
            row = FORMATS[self.format]
            row.check_precision(self.precision)
            row.input_for(self.input)
            return (row,)
        able = [row for row in FORMATS.values() if self.precision in row.precisions]
        return tuple(row for row in able if not row.is_fetched)

    def input_of(self, row: FormatRow) -> ExportInput:
        """What the file of a format takes; with all formats each does what it can."""
        try:
            return row.input_for(self.input)
        except ConfigError:
            return row.inputs[0]

    @property
    def photo_folder(self) -> Path | None:
        """The image folder, where it is not any more where the run was trained."""
        return None if self.photos is None else as_path(self.photos)

    def folder_for(self, run: str) -> Path:
        """Where the files go."""
        ending = f"-{self.quantise}" if self.quantise else ""
        return as_path(self.output or f"{run}-{self.format}{ending}")


@dataclass(frozen=True, eq=False)
class ExportedFile:
    """A file that was written and checked.

    Attributes:
        path: of the file or folder; it ends with `.rejected` where it was.
        described: what it says of itself.
        parity: beside the run.
        bytes: its size.
        digest: BLAKE2b-128 of the file, or of all files of the folder.
    """

    path: Path
    described: ExportDescription
    parity: Parity
    bytes: int
    digest: str

    @property
    def is_rejected(self) -> bool:
        """Whether it does not answer as its run does."""
        return self.parity.fault is not None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "path": str(self.path),
            "format": self.described.format,
            "precision": self.described.precision,
            "input": self.described.input,
            "bytes": self.bytes,
            "digest": self.digest,
            "rejected": self.is_rejected,
            **self.parity.to_dict(),
        }


@dataclass(frozen=True, eq=False)
class ExportSummary:
    """What an export came to.

    Attributes:
        run: name of the run.
        precision: what its own network computes in.
        folder: the folder that was written.
        own: what the run itself answers, with its own network.
        files: the files, in order.
        accuracy: of the run on these photos.
        missing: test photos that were not there, or had changed.
    """

    run: str
    precision: str
    folder: Path
    own: Answers
    files: tuple[ExportedFile, ...]
    accuracy: float
    missing: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "run": self.run,
            "folder": str(self.folder),
            "photos": len(self.own.seconds),
            "missing_photos": self.missing,
            "run_itself": self.own_figures(),
            "files": [one.to_dict() for one in self.files],
        }

    def _repr_html_(self) -> str:
        rows: list[list[Cell]] = [
            [
                one.path.name,
                one.described.format,
                one.described.precision,
                f"{one.bytes / 1e6:.1f} MB",
                one.parity.fault or "answers as the run",
            ]
            for one in self.files
        ]
        return sheet(
            f"run {self.run}, exported",
            f"{self.folder}; checked on {len(self.own.seconds):,} photos",
            Grid(("file", "format", "numbers", "size", ""), rows),
        )

    def own_figures(self) -> dict[str, Any]:
        """Of the run itself."""
        return {
            "precision": self.precision,
            "accuracy": self.accuracy,
            "latency_ms": self.own.latency,
        }

    def check(self) -> None:
        """Refuse files that do not answer as the run does.

        Raises:
            AssertionNotMetError: one of them is such.
        """
        bad = [one for one in self.files if one.is_rejected]
        if bad:
            more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
            raise AssertionNotMetError(
                f"an exported file must answer as its run does, and {bad[0].path} does not: "
                f"{bad[0].parity.fault}{more}; it is kept under that name to be looked at"
            )
