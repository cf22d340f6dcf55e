"""What is said of a training beside its figures: what was chosen, and how far to trust it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrain_cli.heads.temperature import ScoreFit
    from retrain_cli.runs.run import Run
    from retrain_cli.workflows.summaries.training_summary import TrainingSummary

_FEW = 30
"""Photos a class up to which auto was better in most cases that were measured (docs/heads.md)."""


def notes_on(summary: TrainingSummary) -> Iterator[str]:
    """Sentences for people."""
    fit = summary.fit
    if fit is None:
        if summary.run.provenance.made_with_calibration:
            yield (
                "scores are as trained: fewer than 10 validation photos, or answers no better than "
                "chance, tell nothing of them; --few-shot fits them to all photos"
            )
    else:
        yield from _on_fit(fit)
    if summary.run.config.balance == "prior":
        yield from _on_prior(summary.run)
    if summary.run.config.optimizer == "adam" and 0 < photos_a_class(summary.run) <= _FEW:
        yield (
            "with so few photos a class `--optimizer auto` takes seconds, lets validation photos "
            "train, too, and is usually better (docs/heads.md)"
        )


def _on_prior(run: Run) -> Iterator[str]:
    if run.config.prior == "uniform":
        yield (
            "scores are for photos of which each class is equally likely; `label --prior natural` "
            "gives those for photos that come as the training photos do"
        )
    else:
        yield (
            "scores are for photos that come as the training photos do; `label --prior uniform` "
            "gives those for classes that are equally likely"
        )


def photos_a_class(run: Run) -> float:
    """Training images of a class, on average; 0 where that is not known."""
    return (run.provenance.counts.trained_on or 0) / len(run.labels)


def _on_fit(fit: ScoreFit) -> Iterator[str]:
    if fit.picked is not None:
        losses = sorted(fit.log_losses.items(), key=lambda one: one[1])
        compared = ", ".join(f"{name} {loss:.3f}" for name, loss in losses)
        yield f"auto picked {fit.picked}: cross-validated log loss {compared}"
    if not fit.images:
        return
    decay = "" if fit.l2 is None else f"weight decay {fit.l2:.3g} and "
    if fit.by == "left out":
        yield (
            f"{decay}temperature {fit.temperature:.3g} by {fit.images:,} photos, each judged by a "
            f"head that never saw it{_loss(fit)}"
        )
    else:
        photos = f"{fit.images:,} validation photos"
        yield f"scores fitted to {photos}, temperature {fit.temperature:.3g}"


def _loss(fit: ScoreFit) -> str:
    return "" if fit.log_loss is None else f": log loss {fit.log_loss:.3f}"
