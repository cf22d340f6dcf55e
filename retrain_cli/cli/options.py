"""The options that several commands share, each written once.

What a field of a request is called, which values it takes and which it has by default stands in its
dataclass; here is what people read of it. See `signatures` for how both become options.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from retrain_cli.cli.console import Form
from retrain_cli.cli.context import byte_count, comma_separated


@dataclass(frozen=True)
class Described:
    """What the dataclass of an option does not know: how people see it.

    Attributes:
        help: its text; the choices and the default are added to it.
        short: a short name, such as "-o".
        parser: makes the value of one word, where the type alone does not say how.
        metavar: what stands for the value in the help.
        is_argument: whether it is given by its place, without a name.
        show_default: whether the default is worth showing.
        and_option: of an argument, whether an option of the field's name does the same.
    """

    help: str
    short: str = ""
    parser: Callable[[str], Any] | None = None
    metavar: str | None = None
    is_argument: bool = False
    show_default: bool = True
    and_option: bool = False


@dataclass(frozen=True)
class OneRun:
    """Marks a parameter of type `str | None`: a run by its place or by `--run`.

    Attributes:
        help: its text.
    """

    help: str = "Name of the run, how it begins, its folder, or latest (default: latest)."


@dataclass(frozen=True)
class Forms:
    """Marks a parameter of type `Form` that is made of one flag for each of these forms."""

    names: tuple[Form, ...]


_OWN_TOP = (
    "Weights file of the backbone with its own classifier (default: the backbone's weights file; "
    "for imagenet weights the one that Keras publishes)."
)
SHARED: Final[dict[str, str | Described]] = {
    "run": "Run to use: its name, how it begins, its folder, or latest (default: latest).",
    "name": "Name of the new run (default: the time).",
    "note": "What to remember about the new run; `retrain runs` shows it.",
    "top": _OWN_TOP,
    "top_k": Described("Labels an image.", "-k"),
    "SourceTargetStudy.classes": Described(
        "Photos of these classes only, such as ant,bee.",
        parser=comma_separated,
        metavar="NAME,NAME,...",
    ),
    "StrategiesStudy.classes": Described(
        "Photos of these classes only, such as ant,bee.",
        parser=comma_separated,
        metavar="NAME,NAME,...",
    ),
    "StrategiesStudy.strategies": Described(
        "Which are run: top, earlier, part, all. The last takes by far the longest.",
        parser=comma_separated,
        metavar="NAME,NAME,...",
    ),
    "BackbonesStudy.backbones": Described(
        "Compare these alone, such as efficientnet_lite0,mobilenet_v2 (default: all whose weights "
        "are at hand).",
        parser=comma_separated,
        metavar="NAME,NAME,...",
    ),
    "FreezeStudy.trainable": Described(
        "What is trained, each as `finetune --trainable` takes it, such as all,last:3.",
        parser=comma_separated,
        metavar="WHAT,WHAT,...",
    ),
    "FreezeStudy.starts": Described(
        "Weights that are started from: pretrained, random.",
        parser=comma_separated,
        metavar="NAME,NAME",
    ),
    "FreezeStudy.baselines": Described(
        "What networks are compared with: tree and forest on pixels, which need scikit-learn, a "
        "small cnn, majority, nearest and softmax on bottlenecks, or none.",
        parser=comma_separated,
        metavar="NAME,NAME,...",
    ),
    "SimilarRequest.k": Described("Photos an image.", "-k"),
    "batch_size": "Images a forward pass, at most.",
    "engine": Described(
        "Who computes: local, this process; ray, the Ray cluster that $RAY_ADDRESS names, else "
        "one of this machine alone; ray://HOST:PORT, the one behind that Ray Client server.",
        metavar="ENGINE",
    ),
    "engine_timeout": "Minutes without one photo after which a cluster is given up; 0 for never.",
    "parts": "With --engine ray: a folder that all workers see under this path, for what they send "
    "back (default: in the workspace).",
    "workers": "Readers, who read and decode (default: one a processor).",
    "readers": "What they are; auto: processes where photos are many and the network's input is "
    "small, or processors are many.",
    "photo_timeout": Described(
        "Seconds of processor time for a photo that may take very long by its header; what takes "
        "longer is bad. 0 for no limit.",
        metavar="SECONDS",
    ),
    "device": "auto, cpu, gpu or gpu:N.",
    "BottleneckRequest.views": "Distorted views of each photo to compute beside it, for `train`, "
    "`eval --views` and `label --views`; without the options that say how: --flip --crop 10 "
    "--scale 10 --brightness 10.",
    "Distortion.flip": "Views: mirror every other one, left to right.",
    "Distortion.crop": Described(
        "Views: cut off so many percent, at a random side.", metavar="PERCENT"
    ),
    "Distortion.scale": Described("Views: enlarge by up to so many percent.", metavar="PERCENT"),
    "Distortion.brightness": Described(
        "Views: brighter or darker by up to so many percent.", metavar="PERCENT"
    ),
    "Distortion.colour": Described(
        "Views: stronger or paler colours by up to so many percent.", metavar="PERCENT"
    ),
    "Distortion.rotate": Described(
        "Views: turn by multiples of so many degrees, 90 or 180.", metavar="DEGREES"
    ),
    "TrainingConfig.steps": "Optimiser steps, one batch each; for lbfgs the most iterations.",
    "TrainingConfig.optimizer": "How the head learns; lbfgs takes all images at once; ridge is a "
    "ridge regression in closed form, in seconds; auto takes adam, lbfgs or ridge, whichever is "
    "best in a cross-validation.",
    "TrainingConfig.learning_rate": "Step size.",
    "TrainingConfig.epsilon": "Epsilon of the optimisers that have one.",
    "TrainingConfig.batch_size": "Images a step.",
    "TrainingConfig.testing_percentage": "Share of the images for test.",
    "TrainingConfig.validation_percentage": "Share of the images for validation.",
    "TrainingConfig.sampling": "How batches are drawn: balanced takes a class first, then one of "
    "its images; shuffled goes through all; blocks does, too, some neighbours at a time, for "
    "bottlenecks that memory does not hold.",
    "TrainingConfig.l2": "Weight decay: l2 / 2 x the sum of squared weights (default: 0.0001 for "
    "lbfgs; ridge chooses it; none for the others).",
    "TrainingConfig.examples_per_class": "Train on at most this many images of each class.",
    "TrainingConfig.classes": Described(
        "Train on these classes only, such as ant,bee; a name with a comma stands in double "
        "quotes: '\"dog, brown\",owl'.",
        parser=comma_separated,
        metavar="NAME,NAME,...",
    ),
    "TrainingConfig.seed": "Seed of everything random.",
    "TrainingConfig.eval_every": "Steps between two evaluations.",
    "TrainingConfig.patience": "Stop after this many evaluations without improvement.",
    "TrainingConfig.head": "softmax: one linear layer; cosine: cosines between photo and class, "
    "times a scale that is learned.",
    "TrainingConfig.hidden": "Units of hidden layers in front of the last one, such as 256 or "
    "256,128 (default: none).",
    "TrainingConfig.activation": "What follows each hidden layer; gelu in its tanh form.",
    "TrainingConfig.dropout": "Share of each hidden layer's output, or of the bottleneck "
    "where there is none, that a training step leaves out.",
    "TrainingConfig.normalise": "l2: bottlenecks of length one; standardise: each of their numbers "
    "with mean 0 and deviation 1 on the training photos.",
    "TrainingConfig.views": "Train on this many distorted views of each photo, too (default: those "
    "of `bottlenecks --views`; none for ridge and auto).",
    "TrainingConfig.balance": "What is done about classes of unequal size: none; sampling, as "
    "--sampling balanced; weights in the loss; oversample: copies; smote: mixtures of bottlenecks; "
    "views: distorted views; prior: the classes' shares are taken off the scores afterwards, which "
    "was best where it was measured (docs/balance.md; default: what --sampling says).",
    "TrainingConfig.prior": "With --balance prior: scores for classes that are equally likely, or "
    "as they come, which `label --prior` can change.",
    "TrainingConfig.tau": "With --balance prior: how much of the prior is taken off.",
    "LabelRequest.prior": "Of a run of `train --balance prior`: scores for photos of which each "
    "class is as likely, or for photos in the shares of training (default: as it was trained).",
    "EvalRequest.views": "Average the scores over this many cached views of each photo, too: those "
    "of `bottlenecks --views`.",
    "LabelRequest.views": "Average the scores over this many distorted views of each photo, too, "
    "such as the run was trained on; each takes as long as the photo.",
    "TrainRequest.top": "For --keep-source-classes. " + _OWN_TOP,
    "TrainRequest.memory_limit": Described(
        "Memory that bottlenecks may take, such as 2G, before they are read from a temporary file "
        "(default: half of what is available).",
        parser=byte_count,
        metavar="SIZE",
    ),
    "BackboneSpec.name": "Pre-trained network: a name (`retrain doctor --backbones` lists them), "
    "hub:HANDLE_OR_FOLDER for a TensorFlow Hub feature vector or a SavedModel folder, onnx:FILE, "
    "or timm:NAME.",
    "BackboneSpec.weights": "imagenet, random, a FILE (.weights.h5, legacy no-top .h5, .keras or "
    ".safetensors), or the RUN of a finetune.",
    "BackboneSpec.layer": "Take the bottleneck at this earlier layer, such as mixed8; at several "
    "side by side, as mixed5,mixed8; auto takes what `retrain study layers` finds best.",
    "BackboneSpec.alpha": "Width multiplier of mobilenet and mobilenet_v2.",
    "BackboneSpec.pooling": "How a feature map or a row of tokens becomes one vector: cls takes "
    "the first token, own is what a network of timm does itself, none keeps all numbers of a map, "
    "auto is own for timm, else avg.",
    "BackboneSpec.output": "Of an ONNX file: the output to take (default: its only one).",
    "BackboneSpec.scaling": "Of an ONNX file: how pixels become its input: tf, torch, caffe, none, "
    "or MEAN/DEVIATION of 0..1, such as 0.5/0.5 (default: what its metadata, or timm, say).",
    "BackboneSpec.input_size": "Side in pixels (default: the backbone's own).",
    "BackboneSpec.resize": "How a photo becomes a square; auto is squash, and for timm its own.",
    "BackboneSpec.precision": "What the network computes in. float16 needs a GPU; int8 a "
    "processor, and is calibrated on your photos; auto is the fastest that loses nothing here, "
    "unless a cache in another one holds most of the photos.",
    "BackboneSpec.runtime": "What runs the network: keras any GPU or processor, openvino "
    "processors; onnxruntime ONNX files and torch timm's networks, on both.",
}
"""By the field's name, or by dataclass and field where several fields of one name differ."""

FORM_HELP: Final[dict[Form, str]] = {
    "csv": "Print the result as CSV.",
    "json": "Print the result as JSON.",
}
JsonForm = Annotated[Form, Forms(("json",))]
TableForm = Annotated[Form, Forms(("csv", "json"))]

RunArgument = Annotated[str | None, OneRun()]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "--plan", help="Say what would be done, and change nothing.")
]
ImagePaths = Annotated[
    list[str] | None,
    typer.Argument(help="Images, folders, URLs, or - for a list of such on standard input."),
]
NullSeparated = Annotated[
    bool, typer.Option("-0", "--null", help="The list on standard input is NUL-separated.")
]
Plot = Annotated[Path | None, typer.Option(help="Write a picture to this .png, .svg or .pdf file.")]
