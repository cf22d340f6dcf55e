"""Every runtime says itself what extraction may ask of it; nothing is guessed by name."""

from __future__ import annotations

import ast
import typing

import pytest
from helpers import PROJECT, SMALL_SPEC, FakeBackbone

from retrain_cli.backbones.loader import Backbone, LazyBackbone
from retrain_cli.backbones.runtimes.keras_model import KerasModelBackbone
from retrain_cli.backbones.runtimes.onnxruntime_model import OnnxruntimeBackbone
from retrain_cli.backbones.runtimes.openvino_model import OpenvinoBackbone
from retrain_cli.backbones.runtimes.saved_model import SavedModelBackbone
from retrain_cli.backbones.runtimes.timm_model import TimmBackbone
from retrain_cli.extraction.forward import Forward

RUNTIMES = (
    KerasModelBackbone,
    OpenvinoBackbone,
    OnnxruntimeBackbone,
    SavedModelBackbone,
    TimmBackbone,
)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_declares_all_of_the_protocol(runtime: type) -> None:
    assert runtime.__doc__ is not None
    for name in typing.get_type_hints(Backbone):
        assert f"\n        {name}: " in runtime.__doc__


def test_a_backbone_that_is_not_loaded_yet_says_the_same() -> None:
    class Other(FakeBackbone):
        any_batch_size = True
        batches_at_once = 7

    lazy: Forward = LazyBackbone(SMALL_SPEC, "cpu", lambda spec, device: Other())
    assert (lazy.any_batch_size, lazy.batches_at_once) == (True, 7)


def test_extraction_looks_nothing_up_by_name() -> None:
    paths = [
        *(PROJECT / "retrain_cli" / "extraction").glob("*.py"),
        PROJECT / "retrain_cli" / "backbones" / "loader.py",
    ]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
                owner = ast.unparse(node.args[0])
                assert owner in ("subprocess", "self._of_thread"), (path, owner)
