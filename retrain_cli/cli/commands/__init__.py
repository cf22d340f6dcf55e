"""The list of commands, in the order of `retrain --help`; none of them is imported for it."""

from __future__ import annotations

from typing import NamedTuple

_MAIN, _JUDGE, _PHOTOS, _KEEP = (
    "The main job",
    "How good is it",
    "Photos and classes",
    "Looking after things",
)


class CommandEntry(NamedTuple):
    """A command in the list of commands.

    Attributes:
        panel: under which title `retrain --help` has it.
        place: the file in `cli/commands` and the name in it: a function, or a Typer of its own.
        summary: the first sentence of its help, so that the list needs no import.
    """

    panel: str
    place: str
    summary: str


COMMANDS: dict[str, CommandEntry] = {
    "bottlenecks": CommandEntry(
        _MAIN, "bottlenecks:bottlenecks", "Compute and cache the bottleneck of every photo."
    ),
    "train": CommandEntry(
        _MAIN, "train:train", "Train a new softmax layer on the cached bottlenecks."
    ),
    "finetune": CommandEntry(
        _MAIN,
        "tuning.finetune:finetune",
        "Train the top of the backbone on your photos, too, and keep the result as a run.",
    ),
    "search": CommandEntry(
        _MAIN,
        "tuning.search:search",
        "Try many settings on the cached bottlenecks, and keep the best as a run.",
    ),
    "eval": CommandEntry(
        _MAIN, "eval:evaluate", "Show how good a run is, overall and for each class."
    ),
    "label": CommandEntry(
        _MAIN, "label:label", "Label new images with a trained run, in input order, as they come."
    ),
    "watch": CommandEntry(
        _MAIN,
        "photos.watch:watch",
        "Label photos as they arrive in a folder, and move them into an album, tag them, or both.",
    ),
    "explain": CommandEntry(
        _JUDGE,
        "photos.explain:explain",
        "Show which places of a photo speak for a class: heatmaps, in input order, as they come.",
    ),
    "export": CommandEntry(
        _MAIN,
        "portable.export:export",
        "Write a run as a file for other programs, and prove on test photos that it answers alike.",
    ),
    "bundle": CommandEntry(
        _MAIN,
        "portable.bundle:bundle",
        "Write a run as one file that labels on another machine.",
    ),
    "serve": CommandEntry(
        _MAIN,
        "portable.serve:serve",
        "Label photos over HTTP, as TensorFlow Serving does, with a page for people at /.",
    ),
    "report": CommandEntry(
        _JUDGE,
        "report:report",
        "Put everything about a run into one HTML page that needs nothing else.",
    ),
    "compare": CommandEntry(
        _JUDGE, "compare:compare", "Compare runs on the photos that they were both tested on."
    ),
    "study": CommandEntry(
        _JUDGE,
        "study:app",
        "Run the paper's experiments on your own photos: how effective is transfer learning here?",
    ),
    "advise": CommandEntry(
        _JUDGE,
        "tuning.advise:advise",
        "Say which strategy fits your photos: a head on the top or lower, or fine-tuning.",
    ),
    "check": CommandEntry(
        _PHOTOS, "check:check", "Look for bad photos, duplicates, label errors and small classes."
    ),
    "similar": CommandEntry(
        _PHOTOS, "similar:similar", "Find the training photos that are most like an image."
    ),
    "classes": CommandEntry(
        _PHOTOS,
        "classes:classes",
        "List the classes of the dataset last used: INT or EXT, and why.",
    ),
    "dataset": CommandEntry(
        _PHOTOS,
        "photos.dataset_split:app",
        "Divide the photos of the dataset last used, for use elsewhere.",
    ),
    "add-class": CommandEntry(
        _PHOTOS,
        "add_class:add_class",
        "Add a new class to a trained run, from as few as one photo.",
    ),
    "signals": CommandEntry(
        _PHOTOS,
        "photos.signals:signals",
        "Turn signals into images: spectrograms and more of windows of recordings.",
    ),
    "runs": CommandEntry(
        _KEEP, "runs:app", "List, show, name, annotate, verify and remove trained runs."
    ),
    "cache": CommandEntry(
        _KEEP, "cache:app", "Look into, check, tidy, merge and export the cache."
    ),
    "doctor": CommandEntry(
        _KEEP,
        "doctor:doctor",
        "Show versions, engine, GPU and folders; what is missing, and how to get it.",
    ),
    "config": CommandEntry(
        _KEEP,
        "config:app",
        "Show what is set by a file, by the environment and by default.",
    ),
    "help": CommandEntry(_KEEP, "help:help_on", "Show the help of a command."),
    "demo": CommandEntry(
        _KEEP,
        "demo:demo",
        "Walk through the main job on drawn sample photos, with nothing to download.",
    ),
}
