"""`finetune --init-from RUN`: from one folder to another, and what does not fit is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import SMALL_SPEC, make_photos

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import ConfigError, RunError
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workflows.tuning.finetune import FinetuneSession, finetune
from retrain_cli.workflows.tuning.finetune_request import FinetuneRequest
from retrain_cli.workflows.tuning.starting_weights import StartingWeights
from retrain_cli.workspace import Workspace

SPEC = replace(SMALL_SPEC, alpha=0.25)
QUICK = TuningConfig("last-block", epochs=1, learning_rate=0.003, batch_size=8)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run `insects` that has a tuned backbone, a plain one `head`; pets were used last."""
    root = tmp_path_factory.mktemp("init_from")
    insects = make_photos(root / "insects", {"ant": 12, "bee": 12})
    pets = make_photos(root / "pets", {"cat": 12, "dog": 12, "emu": 12}, seed=1)
    workspace = Workspace(root / "work")
    fill_cache(BottleneckRequest(insects, SPEC), workspace)
    train_run(TrainRequest(TrainingConfig(optimizer="lbfgs", steps=5), name="head"), workspace)
    finetune(request(name="insects"), workspace)
    fill_cache(BottleneckRequest(pets, SPEC), workspace)
    return root


@pytest.fixture
def root(source: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(source / "work", tmp_path / "work")
    return tmp_path


def request(**more: object) -> FinetuneRequest:
    """Without validation photos the tuned network is kept in any case."""
    shares = {"testing_percentage": 25.0, "validation_percentage": 0.0}
    return FinetuneRequest(QUICK, **(shares | more))  # type: ignore[arg-type]


def test_another_folder_goes_on_from_the_tuned_weights(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to where `finetune` trains what was used last, which its own tests look at."""

    def seen_enough(asked: FinetuneRequest, workspace: Workspace) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(FinetuneSession, "open", seen_enough)
    workspace = Workspace(root / "work")
    tuned = RunStore(workspace.runs_dir).get("insects").info
    with pytest.raises(ZeroDivisionError):
        finetune(request(init_from="insects"), workspace)
    used = LastUsed.load(workspace)
    assert used.fingerprint == tuned.cache
    assert used.image_dir.name == "pets"


def test_photos_that_the_weights_have_learned_are_told(root: Path, source: Path) -> None:
    workspace = Workspace(root / "work")
    info = RunStore(workspace.runs_dir).get("insects").info
    fill_cache(BottleneckRequest(source / "insects", SPEC), workspace)

    def told(testing_percentage: float) -> list[str]:
        warnings = list[str]()
        asked = request(init_from="insects", testing_percentage=testing_percentage)
        session = FinetuneSession.open(asked, workspace, info.backbone)
        session.tell_what_flatters(warnings.append)
        return warnings

    said = "of insects were trained on, or chosen by"
    assert not any(said in one for one in told(25.0))
    assert any(said in one for one in told(50.0))


def test_a_run_without_a_tuned_backbone_is_refused(root: Path) -> None:
    with pytest.raises(RunError, match=r"keeps a fine-tuned backbone, and head keeps a head alone"):
        finetune(request(init_from="head"), Workspace(root / "work"))


@pytest.mark.parametrize(
    "other", [replace(SPEC, alpha=0.5), replace(SPEC, input_size=64), replace(SPEC, pooling="max")]
)
def test_weights_of_another_network_are_refused(root: Path, other: BackboneSpec) -> None:
    with pytest.raises(RunError, match=r"of the network that they are for; insects has those of"):
        StartingWeights(init_from="insects").of(other.resolve(), Workspace(root / "work"))


def test_no_such_run(root: Path) -> None:
    with pytest.raises(RunError, match="bees"):
        finetune(request(init_from="bees"), Workspace(root / "work"))


def test_one_start_at_a_time() -> None:
    with pytest.raises(ConfigError, match="leave one out"):
        request(init_from="insects", weights="random")
