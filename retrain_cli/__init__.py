"""Turn a folder of photos into a trained, measured image classifier.

The same workflows that the command line calls, for notebooks and programs:

    import retrain_cli as rt

    workspace = rt.Workspace.locate()
    rt.fill_cache(rt.BottleneckRequest(Path("photos")), workspace)
    summary = rt.train_run(rt.TrainRequest(rt.TrainingConfig(steps=4000)), workspace)
    print(rt.evaluate(rt.EvalRequest(ks=(1, 5)), workspace).result.top1.overall)
"""

import lazy_loader

__version__ = "0.1.0"

# The names stand in `__init__.pyi`, where type checkers look for them. They are imported when first
# used, so that `retrain --help` pays for none of them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
