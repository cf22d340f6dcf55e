from __future__ import annotations

from pathlib import Path

from retrain_cli.engine import load_tensorflow
from retrain_cli.heads.history import HistoryRow, TrainingProgress
from retrain_cli.heads.tensorboard import tensorboard_listener


def test_curves_are_written_as_scalars(tmp_path: Path) -> None:
    with tensorboard_listener(tmp_path, enabled=True) as listen:
        listen(TrainingProgress(HistoryRow(100, 0.5, 0.9, 0.6, 0.8), 200, 100, 0.8))
        listen(TrainingProgress(HistoryRow(200, 0.25, 1.0), 200, 100, None))
    (events,) = (tmp_path / "tensorboard").iterdir()
    read = load_tensorflow().compat.v1.train.summary_iterator
    scalars = {
        (value.tag, event.step) for event in read(str(events)) for value in event.summary.value
    }
    assert scalars == {
        ("loss/training", 100),
        ("loss/validation", 100),
        ("accuracy/training", 100),
        ("accuracy/validation", 100),
        ("loss/training", 200),
        ("accuracy/training", 200),
    }


def test_without_it_nothing_is_written(tmp_path: Path) -> None:
    with tensorboard_listener(tmp_path, enabled=False) as listen:
        listen(TrainingProgress(HistoryRow(100, 0.5, 0.9), 200, 100, None))
    assert not list(tmp_path.iterdir())
