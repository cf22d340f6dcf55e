"""Turn a folder of photos into a trained, measured image classifier.

The same workflows that the command line calls, for notebooks and programs:

    import retrain_cli as rt

    workspace = rt.Workspace.locate()
    rt.fill_cache(rt.BottleneckRequest(Path("photos")), workspace)
    summary = rt.train_run(rt.TrainRequest(rt.TrainingConfig(steps=4000)), workspace)
    print(rt.evaluate(rt.EvalRequest(ks=(1, 5)), workspace).result.top1.overall)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrain_cli.backbones.loader import load_backbone as load_backbone
    from retrain_cli.backbones.spec import BackboneSpec as BackboneSpec
    from retrain_cli.errors import RetrainError as RetrainError
    from retrain_cli.extraction.pipeline import ExtractionSettings as ExtractionSettings
    from retrain_cli.heads.config import TrainingConfig as TrainingConfig
    from retrain_cli.runs.run import RunStore as RunStore
    from retrain_cli.similarity.neighbours import nearest as nearest
    from retrain_cli.studies.protocols.few_shot import FewShotStudy as FewShotStudy
    from retrain_cli.studies.protocols.int_ext import IntExtStudy as IntExtStudy
    from retrain_cli.studies.protocols.stock import StockStudy as StockStudy
    from retrain_cli.studies.study import StudySettings as StudySettings
    from retrain_cli.workflows.add_class import AddClassRequest as AddClassRequest
    from retrain_cli.workflows.add_class import add_class as add_class
    from retrain_cli.workflows.bottlenecks import BottleneckRequest as BottleneckRequest
    from retrain_cli.workflows.bottlenecks import fill_cache as fill_cache
    from retrain_cli.workflows.calibrate import calibrate as calibrate
    from retrain_cli.workflows.check import CheckRequest as CheckRequest
    from retrain_cli.workflows.check import check_dataset as check_dataset
    from retrain_cli.workflows.classes import SuggestRequest as SuggestRequest
    from retrain_cli.workflows.classes import list_class_infos as list_class_infos
    from retrain_cli.workflows.classes import write_override as write_override
    from retrain_cli.workflows.compare import compare_runs as compare_runs
    from retrain_cli.workflows.cross_validate import out_of_fold as out_of_fold
    from retrain_cli.workflows.evaluate import EvalRequest as EvalRequest
    from retrain_cli.workflows.evaluate import evaluate as evaluate
    from retrain_cli.workflows.label import Labeller as Labeller
    from retrain_cli.workflows.label import LabelRequest as LabelRequest
    from retrain_cli.workflows.report import ReportRequest as ReportRequest
    from retrain_cli.workflows.report import make_report as make_report
    from retrain_cli.workflows.report import write_report as write_report
    from retrain_cli.workflows.shared.apply_moves import apply_script as apply_script
    from retrain_cli.workflows.shared.apply_moves import undo_last as undo_last
    from retrain_cli.workflows.shared.embedding import Source as Source
    from retrain_cli.workflows.shared.kept_sources import load_stock_classes as load_stock_classes
    from retrain_cli.workflows.shared.plan import plan_bottlenecks as plan_bottlenecks
    from retrain_cli.workflows.shared.suggestions import make_script as make_script
    from retrain_cli.workflows.shared.training_set import load_training_set as load_training_set
    from retrain_cli.workflows.similar import SimilarRequest as SimilarRequest
    from retrain_cli.workflows.similar import SimilarSearch as SimilarSearch
    from retrain_cli.workflows.study import run_study as run_study
    from retrain_cli.workflows.train import TrainRequest as TrainRequest
    from retrain_cli.workflows.train import train_run as train_run
    from retrain_cli.workspace import Workspace as Workspace

__version__ = "0.1.0"

_HOMES = {
    "CheckRequest": "workflows.check",
    "check_dataset": "workflows.check",
    "SimilarRequest": "workflows.similar",
    "SimilarSearch": "workflows.similar",
    "apply_script": "workflows.apply_moves",
    "undo_last": "workflows.apply_moves",
    "make_script": "workflows.suggestions",
    "nearest": "bottlenecks.neighbours",
    "AddClassRequest": "workflows.add_class",
    "BackboneSpec": "backbones.spec",
    "BottleneckRequest": "workflows.bottlenecks",
    "EvalRequest": "workflows.evaluate",
    "ExtractionSettings": "bottlenecks.extract",
    "FewShotStudy": "studies.few_shot",
    "IntExtStudy": "studies.int_ext",
    "LabelRequest": "workflows.label",
    "Labeller": "workflows.label",
    "RetrainError": "errors",
    "RunStore": "heads.runs",
    "Source": "workflows.embedding",
    "StockStudy": "studies.stock",
    "StudySettings": "studies.settings",
    "SuggestRequest": "workflows.classes",
    "TrainRequest": "workflows.train",
    "TrainingConfig": "heads.config",
    "Workspace": "workspace",
    "calibrate": "workflows.calibrate",
    "compare_runs": "workflows.compare",
    "add_class": "workflows.add_class",
    "evaluate": "workflows.evaluate",
    "fill_cache": "workflows.bottlenecks",
    "list_class_infos": "workflows.classes",
    "load_backbone": "backbones.loader",
    "load_training_set": "workflows.training_set",
    "out_of_fold": "workflows.cross_validate",
    "load_stock_classes": "workflows.kept_sources",
    "plan_bottlenecks": "workflows.plan",
    "ReportRequest": "workflows.report",
    "make_report": "workflows.report",
    "run_study": "workflows.study",
    "train_run": "workflows.train",
    "write_report": "workflows.report",
    "write_override": "workflows.classes",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `retrain --help` pays for nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
