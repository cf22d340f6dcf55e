"""A notebook has the same power as the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import SMALL_SPEC, FakeBackbone

import retrain_cli as rt


def test_the_main_job(photos: Path, tmp_path: Path, fake_backbone: FakeBackbone) -> None:
    workspace = rt.Workspace.locate(tmp_path / "workspace")

    def load(spec: rt.BackboneSpec, device: str) -> FakeBackbone:
        return fake_backbone

    summary = rt.fill_cache(rt.BottleneckRequest(photos, SMALL_SPEC), workspace, load=load)
    assert summary.computed == 36
    trained = rt.train_run(rt.TrainRequest(rt.TrainingConfig(steps=200)), workspace)
    evaluation = rt.evaluate(rt.EvalRequest(split="all", ks=(1, 2)), workspace)
    assert evaluation.run.name == trained.run.name
    with rt.Labeller(rt.LabelRequest(), workspace, load=load) as labeller:
        (answer,) = labeller.label([rt.Source(str(photos / "ant" / "0000.png"))])
    assert answer.labels
    assert rt.RunStore(workspace.runs_dir).latest().name == trained.run.name


def test_every_promised_name_is_there() -> None:
    assert len(rt.__all__) > 40
    for name in rt.__all__:
        assert getattr(rt, name) is not None
        assert name in dir(rt)
    with pytest.raises(AttributeError, match="nonsense"):
        getattr(rt, "nonsense")  # noqa: B009 - type checkers know that it is not there


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys, retrain_cli\n"
        "print([m for m in sys.modules if m.startswith('retrain_cli.') or m == 'numpy'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_errors_have_one_base() -> None:
    with pytest.raises(rt.RetrainError):
        rt.BackboneSpec(name="nonsense").resolve()
