"""Turn a folder of photos into a trained, measured image classifier.

The same workflows that the command line calls, for notebooks and programs:

    import retrain_cli as rt

    workspace = rt.Workspace.locate()
    rt.fill_cache(rt.BottleneckRequest("photos"), workspace)
    rt.train_run(rt.TrainRequest(rt.TrainingConfig(steps=4000)), workspace)
    rt.evaluate(rt.EvalRequest(ks=(1, 5)), workspace)
    rt.label_photos("new.jpg", workspace)

In a notebook a result shows itself, and `to_frame()` makes a data frame of pandas of it. A path may
be a text; a photo may be a path, the bytes of a file, a picture of Pillow or an array.

What there is; `help(rt.NAME)` tells the rest, docs/python.md shows how it goes together:

a workspace and its photos:
    Workspace, BottleneckRequest, BottleneckSummary, fill_cache, plan_bottlenecks,
    ExtractionSettings, BackboneSpec, load_backbone, Distortion, load_training_set, merge_caches,
    ClusterSettings

heads and runs:
    TrainRequest, TrainingConfig, TrainingSummary, train_run, Run, RunStore, out_of_fold,
    calibrate, AddClassRequest, add_class, load_source_head, SearchRequest, SearchResult, search

fine-tuning:
    FinetuneRequest, TuningConfig, FinetuneSummary, finetune, AdviceRequest, advise

figures:
    EvalRequest, Evaluation, EvalResult, evaluate, plot_chart, RunComparison, compare_runs,
    ReportRequest, make_report, write_report

new photos:
    label_photos, LabelRequest, Labeller, open_labeller, Label, LabelledImage, LabelledImages,
    Source, PhotoSorter, SortRequest, WatchRequest, InboxWatcher, WatchedPhoto, SimilarRequest,
    SimilarSearch, SimilarImages, nearest

why:
    ExplainRequest, Explainer, ExplainedPhoto

what is wrong with the photos:
    CheckRequest, CheckReport, check_dataset, make_script, apply_script, undo_last,
    SuggestRequest, list_class_infos, write_override, SimilaritySplitRequest,
    split_by_similarity

signals as images:
    SignalRequest, Drawing, SignalSummary, draw_signals

elsewhere:
    ExportRequest, ExportSummary, export_run, BundleRequest, bundle_run, ServeRequest

studies:
    run_study, Study, StudyResult, StudySettings, NetworkStudySettings, FreezeStudySettings,
    BackbonesStudy, BalanceStudy, CostStudy, DifficultyStudy, ExamplesStudy, FewShotStudy,
    FreezeStudy, HistogramStudy, IntExtStudy, LayersStudy, SourceTargetStudy, StockStudy,
    StrategiesStudy, TuningGuideStudy

errors:
    RetrainError
"""

import lazy_loader

__version__ = "0.1.0"

# The names stand in `__init__.pyi`, where type checkers look for them. They are imported when first
# used, so that `retrain --help` pays for none of them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
