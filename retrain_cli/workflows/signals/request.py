"""What `retrain signals` is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from retrain_cli.checks import check_choices, check_least, check_positive, check_types
from retrain_cli.errors import ConfigError, setting
from retrain_cli.paths import Paths, StrPath
from retrain_cli.signals.pictures import Kind
from retrain_cli.signals.windows import Cutting

Scale = Literal["window", "recording"]
LEAST_WINDOW = 16
MOST_PIXELS = 2_048


@dataclass(frozen=True)
class Drawing:
    """What the picture of a window depends on; images of one folder have one of these.

    Attributes:
        picture: spectrogram, recurrence (plot), gaf (Gramian angular field) or trace.
        window: samples of a window, at least 16.
        size: pixels of each side of an image.
        scale: what a channel is standardised by, the window or the whole recording.
        channels: names of the channels to draw, or numbers from 1 on; () for all.
    """

    picture: Kind = "spectrogram"
    window: int = 512
    size: int = 224
    scale: Scale = "window"
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_choices(self)
        check_least(self, LEAST_WINDOW, "window", "size")
        if self.size > MOST_PIXELS:
            raise ConfigError(f"{setting('size')} must be at most {MOST_PIXELS}, not {self.size}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Drawing:
        """Raises: ValueError or TypeError where it is none."""
        drawing = cls(**{**values, "channels": tuple(values.get("channels", ()))})
        check_types(drawing)
        return drawing

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def taking_over(self, other: Drawing) -> Drawing:
        """Those of `other`, where nothing else than a default was asked for.

        Raises:
            ConfigError: something else was.
        """
        usual = Drawing()
        for one in fields(self):
            value = getattr(self, one.name)
            if value not in (getattr(usual, one.name), getattr(other, one.name)):
                raise ConfigError(
                    f"{setting('like')} draws as that folder was drawn, with "
                    f"{setting(one.name, owner=Drawing)} {_typed(getattr(other, one.name))}, not "
                    f"{_typed(value)}: leave one of the two out"
                )
        return other


def _typed(value: Any) -> str:
    return ",".join(value) or "unset" if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class SignalRequest:
    """Which recordings become images, and where.

    Attributes:
        recordings: files, or folders of them; the sub-folders of a folder are the labels.
        output: folder for the images.
        drawing: how they are drawn.
        step: samples from one window's start to the next one's; None for a quarter of a window.
        label_column: column of a text file that has the label of each sample.
        events: file of events: start,end,label.
        background: label of windows without an event; None for `normal`, or with a label column
            the commonest label.
        overlap: least share of an event, or of the window, in percent, that gives the window the
            event's label.
        block: how long a group that stays in one split may become, in windows.
        rate: samples a second of files that do not say.
        like: folder of an earlier time whose images these are to be like.
    """

    recordings: Paths
    output: StrPath
    drawing: Drawing = field(default_factory=Drawing)
    step: int | None = None
    label_column: str | None = None
    events: StrPath | None = None
    background: str | None = None
    overlap: float = 50.0
    block: int = 8
    rate: float | None = None
    like: StrPath | None = None

    def __post_init__(self) -> None:
        check_least(self, 1, "step", "block")
        check_positive(self, "overlap")
        if self.overlap > 100:
            raise ConfigError(
                f"{setting('overlap')} is a share in percent, at most 100, not {self.overlap:g}"
            )
        if self.rate is not None:
            check_positive(self, "rate")
        if self.label_column is not None and self.events is not None:
            raise ConfigError(
                f"labels come from {setting('label_column')} or from {setting('events')}, not "
                "from both: leave one out"
            )
        if self.background is not None and not (self.label_column or self.events):
            raise ConfigError(
                f"{setting('background')} goes with {setting('events')} or "
                f"{setting('label_column')}: add one, or leave it out"
            )

    def cutting(self, drawing: Drawing) -> Cutting:
        """How windows are cut."""
        step = self.step or max(drawing.window // 4, 1)
        return Cutting(drawing.window, step, self.overlap, self.block)
