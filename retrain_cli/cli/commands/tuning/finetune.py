"""`retrain finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import check_plot, comma_separated, workspace_of
from retrain_cli.cli.options import Described, JsonForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.workflows.tuning.finetune_request import FinetuneRequest

if TYPE_CHECKING:
    from retrain_cli.finetuning.tuning import TuningProgress
    from retrain_cli.workflows.tuning.finetune_summary import FinetuneSummary


@command
def finetune(
    ctx: typer.Context,
    request: Annotated[
        FinetuneRequest,
        Fields(
            trainable="What is trained: last-block, last:N blocks, from:LAYER (what follows it), "
            "all, first-block, first+last, or a pattern of layer names such as 'block_1[56]_*'.",
            from_run="Take this run's split and classes, and its head as the one to beat.",
            weights="Weights that the backbone starts from: imagenet, random, a FILE, or the RUN "
            "whose backbone it is (default: the backbone last used). Missing bottlenecks are "
            "computed.",
            init_from="Start from the tuned backbone of this run, of the same network, that was "
            "fine-tuned on another folder; its classes may be others. Missing bottlenecks are "
            "computed.",
            epochs="How often each training photo is seen.",
            learning_rate="Peak of the learning rate (default: 0.001; 0.0001 below some 20 photos "
            "a class; 0.005 for sgd).",
            optimizer="How the network learns.",
            batch_size="Photos a step, and a forward pass.",
            warm_up="Share of the steps in which the rate climbs to its peak.",
            schedule="How the rate goes from there: down to zero as half a cosine, or on as it is.",
            l2="Weight decay of kernels (default: 0.004 for adamw, none for the others).",
            l2_sp="Weight decay towards the weights that training starts from.",
            dropout="Share of the bottleneck that a step leaves out.",
            batch_norm="What becomes of batch normalisation: frozen, or trained with the rest, "
            "which destroys small datasets.",
            sampling="How batches are drawn: shuffled takes each photo once an epoch; balanced "
            "takes a class first, then one of its photos.",
            patience="Stop after so many epochs without improvement on validation.",
            activations="How activations at the freeze point are kept: 16 bits a number, or 8.",
            stream="Decode the photos anew in each epoch and keep no activations: slower, and no "
            "space on the disk.",
            views="Distorted views of each training photo: whenever its turn comes, one of them or "
            "the photo itself is taken. With --stream or all layers each epoch has new ones.",
            seed="Seed of everything random.",
            resume="Go on with a fine-tuning of these settings that was cut short.",
            testing_percentage="Share of the photos for test (default: 10).",
            validation_percentage="Share of the photos for validation (default: 10).",
            examples_per_class="Train on at most this many photos of each class.",
            classes=Described(
                "Train on these classes only, such as ant,bee.",
                parser=comma_separated,
                metavar="NAME,NAME,...",
            ),
        ),
    ],
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            "--dry-run",
            help="Say what it takes of disk and time, and how much faster it is; change nothing.",
        ),
    ],
    plot: Annotated[
        Path | None,
        typer.Option(help="Write the learning curves to this .png, .svg or .pdf file."),
    ],
    form: JsonForm,
) -> None:
    """Train the top of the backbone on your photos, too, and keep the result as a run.

    First a head is trained on the cached bottlenecks. The frozen part of the network sees each
    photo once, and its activations are cached, so that an epoch costs what is trained alone. The
    head alone stays where fine-tuning is not better on validation.
    """
    from retrain_cli.cli.views.tuning import finetune as view
    from retrain_cli.workflows.tuning.finetune import finetune
    from retrain_cli.workflows.tuning.tuning_plan import plan_finetune

    workspace = workspace_of(ctx)
    if plan:
        with console.progress("measuring"):
            found = plan_finetune(request, workspace)
        view.show_plan(found, form)
        return
    check_plot(plot)
    table = view.EpochTable()
    with (
        interrupts.keeping(lambda: "activations are kept, and there is no new run"),
        console.progress("fine-tuning") as update,
    ):

        def on_progress(progress: TuningProgress) -> None:
            done = (progress.epoch - 1) * progress.steps + progress.step
            total = progress.epochs * progress.steps
            update(console.Step(done, total, f"epoch {progress.epoch} of {progress.epochs}"))
            if progress.row is not None:
                table.add(progress)

        summary = finetune(
            request,
            workspace,
            lambda stage, done, total: update(console.Step(done, total, stage=stage)),
            on_progress,
            console.warn,
        )
    view.show_summary(summary, form)
    if plot is not None:
        view.draw(summary, plot)
    if summary.interrupted_by is not None:
        raise interrupts.Interruption(summary.interrupted_by, _kept(summary))


def _kept(summary: FinetuneSummary) -> str:
    result = summary.result
    best = f"its best epoch, {result.best_epoch}" if result.best_epoch else "the head alone"
    return (
        f"fine-tuning ended after epoch {result.epochs}, and run {summary.run.name} keeps {best}; "
        "the same command with --resume goes on"
    )
