"""A notebook has the same power as the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import SMALL_SPEC, FakeBackbone, make_photos

import retrain_cli as rt
from retrain_cli.studies.catalogue import find_studies


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


def test_every_study_is_promised() -> None:
    assert {study.__name__ for study in find_studies().values()} <= set(rt.__all__)


def test_help_lists_every_name() -> None:
    """`help(rt)` begins with the docstring, which names all there is, and nothing else."""
    assert rt.__doc__ is not None
    lines = rt.__doc__.partition("What there is")[2].splitlines()
    listed = [name for line in lines if line.startswith("    ") for name in _names(line)]
    assert sorted(listed) == sorted(set(rt.__all__))


def _names(line: str) -> list[str]:
    return [name.strip() for name in line.split(",") if name.strip()]


def test_a_text_is_a_path(photos: Path, tmp_path: Path, fake_backbone: FakeBackbone) -> None:
    workspace = rt.Workspace.locate(str(tmp_path / "workspace"))
    assert workspace.root == tmp_path / "workspace"

    def load(spec: rt.BackboneSpec, device: str) -> FakeBackbone:
        return fake_backbone

    summary = rt.fill_cache(rt.BottleneckRequest(str(photos), SMALL_SPEC), workspace, load=load)
    rt.train_run(rt.TrainRequest(rt.TrainingConfig(steps=200)), workspace)
    page, chart = str(tmp_path / "report.html"), str(tmp_path / "chart.png")
    rt.write_report(rt.ReportRequest(html=page, split="all"), workspace)
    evaluation = rt.evaluate(rt.EvalRequest(split="all"), workspace)
    rt.plot_chart(evaluation, "histogram", chart)
    more = make_photos(tmp_path / "more", {"wasp": 4}, seed=9)
    added = rt.add_class(rt.AddClassRequest("wasp", str(more)), workspace, load=load)
    with rt.PhotoSorter(rt.SortRequest(str(tmp_path / "sorted")), ["ant"]) as sorter:
        assert sorter.place(str(photos / "ant" / "0000.png"), "ant").is_file()
    runs = rt.RunStore(str(workspace.runs_dir))
    assert Path(page).is_file() and Path(chart).is_file()
    results = (summary, evaluation, added.run, runs)
    for result in results:
        assert result._repr_html_().startswith('<div class="retrain">')
    assert list(runs.to_frame()["photos"]) == [40, 36]
    assert set(evaluation.to_frame()["class"]) == {"ant", "bee", "teapot"}
    assert list(summary.to_frame()["photos"]) == [12, 12, 12]


def test_a_frame_without_pandas_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(rt.RetrainError, match=r"pip install 'retrain-cli\[notebook\]'"):
        rt.LabelledImages().to_frame()


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
