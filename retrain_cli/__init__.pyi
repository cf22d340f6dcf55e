"""The names that `import retrain_cli as rt` promises: each one where it is defined."""

from .backbones.loader import load_backbone as load_backbone
from .backbones.spec import BackboneSpec as BackboneSpec
from .errors import RetrainError as RetrainError
from .extraction.pipeline import ExtractionSettings as ExtractionSettings
from .heads.config import TrainingConfig as TrainingConfig
from .runs.run import RunStore as RunStore
from .similarity.neighbours import nearest as nearest
from .studies.protocols.cost import CostStudy as CostStudy
from .studies.protocols.difficulty import DifficultyStudy as DifficultyStudy
from .studies.protocols.examples import ExamplesStudy as ExamplesStudy
from .studies.protocols.few_shot import FewShotStudy as FewShotStudy
from .studies.protocols.histogram import HistogramStudy as HistogramStudy
from .studies.protocols.int_ext import IntExtStudy as IntExtStudy
from .studies.protocols.layers import LayersStudy as LayersStudy
from .studies.protocols.stock import StockStudy as StockStudy
from .studies.protocols.tuning_guide import TuningGuideStudy as TuningGuideStudy
from .studies.study import StudySettings as StudySettings
from .workflows.add_class import AddClassRequest as AddClassRequest
from .workflows.add_class import add_class as add_class
from .workflows.bottlenecks import BottleneckRequest as BottleneckRequest
from .workflows.bottlenecks import fill_cache as fill_cache
from .workflows.calibrate import calibrate as calibrate
from .workflows.check import CheckRequest as CheckRequest
from .workflows.check import check_dataset as check_dataset
from .workflows.classes import SuggestRequest as SuggestRequest
from .workflows.classes import list_class_infos as list_class_infos
from .workflows.classes import write_override as write_override
from .workflows.compare import compare_runs as compare_runs
from .workflows.cross_validate import out_of_fold as out_of_fold
from .workflows.evaluate import EvalRequest as EvalRequest
from .workflows.evaluate import evaluate as evaluate
from .workflows.label import Labeller as Labeller
from .workflows.label import LabelRequest as LabelRequest
from .workflows.report import ReportRequest as ReportRequest
from .workflows.report import make_report as make_report
from .workflows.report import write_report as write_report
from .workflows.shared.apply_moves import apply_script as apply_script
from .workflows.shared.apply_moves import undo_last as undo_last
from .workflows.shared.embedding import Source as Source
from .workflows.shared.kept_sources import load_source_head as load_source_head
from .workflows.shared.plan import plan_bottlenecks as plan_bottlenecks
from .workflows.shared.suggestions import make_script as make_script
from .workflows.shared.training_set import load_training_set as load_training_set
from .workflows.similar import SimilarRequest as SimilarRequest
from .workflows.similar import SimilarSearch as SimilarSearch
from .workflows.sort_photos import PhotoSorter as PhotoSorter
from .workflows.sort_photos import SortRequest as SortRequest
from .workflows.study import run_study as run_study
from .workflows.train import TrainRequest as TrainRequest
from .workflows.train import train_run as train_run
from .workspace import Workspace as Workspace

__all__: list[str]
__version__: str
