"""`retrain signals RECORDING...`."""

from __future__ import annotations

from typing import Annotated

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import comma_separated
from retrain_cli.cli.options import Described, JsonForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.workflows.signals.request import SignalRequest


@command
def signals(
    request: Annotated[
        SignalRequest,
        Fields(
            recordings=Described(
                "Recordings: .csv with a column a channel, .npy, .wav, or folders of them with a "
                "sub-folder a label.",
                is_argument=True,
                metavar="RECORDING...",
            ),
            output=Described("Folder for the images: a new one, or one made alike.", short="-o"),
            picture="What is drawn of each window: a spectrogram, a recurrence plot, a Gramian "
            "angular field (gaf), or the line itself (trace).",
            window="Samples of a window.",
            step="Samples from one window's start to the next one's (default: a quarter of a "
            "window).",
            size="Pixels of each side of an image.",
            scale="What a channel is standardised by, so that a loud window looks like a quiet "
            "one, or does not.",
            channels=Described(
                "Channels to draw, by name or by number from 1 on (default: all).",
                parser=comma_separated,
                metavar="NAME,NAME,...",
            ),
            label_column="Column of a .csv file that has the label of each sample.",
            events="File of what happens when, with lines of start,end,label or "
            "file,start,end,label; in seconds, or in samples where nobody says the rate.",
            background="Label of windows without an event (default: normal; with --label-column "
            "the commonest label).",
            overlap="Percentage of an event that a window must hold, or an event cover of the "
            "window, for the window to have its label.",
            block="Windows' lengths that a group which stays in one split may become long.",
            rate="Samples a second of files that do not say.",
            like="Draw as the images of this folder were drawn, such as for label.",
        ),
    ],
    form: JsonForm,
) -> None:
    """Turn signals into images: spectrograms and more of windows of recordings.

    Images lie in a folder a label, ready for bottlenecks, and windows.csv says which window of
    which recording each one shows. Windows that overlap get names that keep them in one split.
    Without labels all images lie in the output folder, for label.
    """
    from retrain_cli.cli.views import signals as view
    from retrain_cli.workflows.signals.imaging import draw_signals

    done = [0, 0]

    def kept() -> str:
        return f"{done[0]:,} of {done[1]:,} images are drawn and kept; the same command draws all"

    with interrupts.keeping(kept), console.progress("drawing") as update:

        def on_progress(drawn: int, total: int) -> None:
            done[:] = [drawn, total]
            update(console.Step(drawn, total))

        summary = draw_signals(request, on_progress)
    view.show(summary, form)
