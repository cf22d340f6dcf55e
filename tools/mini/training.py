"""The training loop: AdamW on a cosine schedule, averaged weights, a checkpoint every epoch."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mini.mirror import Arrays
from mini.student import Scales, Student, take_batch
from mini.views import Round, load_round, round_path


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    Attributes:
        epochs: passes over a round of views.
        rounds: cached rounds; epoch e sees round e modulo `rounds`.
        batch: views per step.
        rate: the highest learning rate, reached after the warm-up.
        decay: decoupled weight decay.
        average: decay of the moving average of the weights, per step.
        warm_up: epochs of linearly rising learning rate.
        seed: of the order of views and of their augmentation.
    """

    epochs: int
    rounds: int
    batch: int = 64
    rate: float = 2e-3
    decay: float = 0.05
    average: float = 0.997
    warm_up: float = 2.0
    seed: int = 0

    def rate_at(self, epoch: float) -> float:
        """Learning rate after so many epochs: a linear rise, then half a cosine down to zero."""
        rise = min(1.0, (epoch + 0.01) / self.warm_up)
        return self.rate * rise * (1 + math.cos(math.pi * min(1.0, epoch / self.epochs))) / 2


class Trainer:
    """Trains a student, and goes on where a stopped training was.

    Args:
        student: what to train.
        plan: for how long.
        n_classes: labelled classes.
        work: folder of the cached rounds and of the checkpoint.

    Attributes:
        averaged: moving averages of the student's state, by name; what is exported.
        epoch: the next one to train.
    """

    def __init__(self, student: Student, plan: Plan, n_classes: int, work: Path) -> None:
        self._student, self._plan, self._n_classes, self._work = student, plan, n_classes, work
        first = load_round(round_path(work, 0))
        self._scales = Scales.measure(first.lesson)
        self._optimizer = torch.optim.AdamW(_groups(student.trained(), plan.decay), lr=plan.rate)
        self.averaged: Arrays = {k: v.detach().clone() for k, v in student.state().items()}
        self.epoch = 0
        self._steps = 0

    def resume(self) -> bool:
        """Take up the checkpoint in the work folder; says whether there was one."""
        path = self._checkpoint()
        if not path.exists():
            return False
        saved = torch.load(path, weights_only=True)
        with torch.no_grad():
            for name, array in self._student.state().items():
                array.copy_(saved["state"][name])
        self._optimizer.load_state_dict(saved["optimizer"])
        self.averaged, self.epoch, self._steps = saved["averaged"], saved["epoch"], saved["steps"]
        return True

    def train_epoch(self) -> float:
        """Train one epoch, write a checkpoint, and return the mean loss."""
        plan = self._plan
        data = load_round(round_path(self._work, self.epoch % plan.rounds))
        torch.manual_seed(plan.seed * 100_003 + self.epoch)
        order = torch.randperm(len(data.pixels)).numpy()
        batches = np.array_split(order, len(order) // plan.batch)
        start, losses = time.monotonic(), []
        for number, rows in enumerate(batches):
            losses.append(self._step(data, rows, self.epoch + number / len(batches)))
        self.epoch += 1
        self._save()
        seconds, loss = time.monotonic() - start, float(np.mean(losses))
        print(
            f"epoch {self.epoch}/{plan.epochs}  loss {loss:.4f}  "
            f"{len(order) / seconds:.0f} views/s  {seconds:.0f} s",
            flush=True,
        )
        return loss

    def _step(self, data: Round, rows: Any, epoch: float) -> float:
        """One optimiser step; `epoch` counts in fractions."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._plan.rate_at(epoch)
        loss = self._student.loss(take_batch(data, rows, self._scales, self._n_classes))
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._steps += 1
        self._average()
        return float(loss.detach())

    def _average(self) -> None:
        """Move the averages on; young averages forget their random start faster."""
        keep = min(self._plan.average, (1 + self._steps) / (10 + self._steps))
        with torch.no_grad():
            for name, array in self._student.state().items():
                self.averaged[name].lerp_(array.detach(), 1 - keep)

    def _save(self) -> None:
        saved = {
            "state": {k: v.detach() for k, v in self._student.state().items()},
            "averaged": self.averaged,
            "optimizer": self._optimizer.state_dict(),
            "epoch": self.epoch,
            "steps": self._steps,
        }
        partial = self._checkpoint().with_suffix(".partial")
        torch.save(saved, partial)
        partial.replace(self._checkpoint())

    def _checkpoint(self) -> Path:
        return self._work / "checkpoint.pt"


def _groups(arrays: Arrays, decay: float) -> list[dict[str, Any]]:
    """Weight decay for kernels only, not for offsets and the batch norms' scales."""
    kernels = [array for array in arrays.values() if array.ndim > 1]
    others = [array for array in arrays.values() if array.ndim == 1]
    return [
        {"params": kernels, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]
