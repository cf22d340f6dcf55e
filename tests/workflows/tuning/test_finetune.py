"""`retrain finetune` from photos to a run whose backbone is its own, on a real small network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import SMALL_SPEC, make_photos
from typer.testing import CliRunner

from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.cache_files import cache_files
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cli.main import app
from retrain_cli.errors import BackboneError, RunError, WorkspaceError
from retrain_cli.finetuning import activation_cache
from retrain_cli.finetuning.parts import Parts
from retrain_cli.finetuning.tuning import TuningProgress
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.lent_backbones import Borrowers, borrowers_of, check_not_lent
from retrain_cli.runs.making import Tuned
from retrain_cli.runs.renaming import rename_run
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.label import backbone_of
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workflows.tuning.finetune import finetune
from retrain_cli.workflows.tuning.finetune_request import FinetuneRequest
from retrain_cli.workflows.tuning.starting_weights import with_backbone_of_run
from retrain_cli.workspace import Workspace

SPEC = replace(SMALL_SPEC, alpha=0.25)
QUICK = TuningConfig("last-block", epochs=2, learning_rate=0.003, batch_size=8)
CLASSES = {"ant": 12, "bee": 12}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("finetune")
    photos = make_photos(root / "photos", CLASSES)
    workspace = Workspace(root / "work")
    fill_cache(BottleneckRequest(photos, SPEC), workspace)
    return workspace


def request(
    tuning: TuningConfig = QUICK, name: str | None = None, **more: object
) -> FinetuneRequest:
    shares = {"testing_percentage": 25.0, "validation_percentage": 25.0}
    given = shares if more.get("from_run") is None else {}
    return FinetuneRequest(tuning, name=name, **(given | more))  # type: ignore[arg-type]


def arrays_in(workspace: Workspace) -> int:
    count = 0
    for path in cache_files(workspace.cache_dir):
        with BottleneckStore(path, read_only=True) as store:
            count += len(store.arrays)
    return count


def test_a_run_has_a_backbone_of_its_own_wherever_it_goes(workspace: Workspace) -> None:
    # Without validation photos there is no guard, so the tuned network is kept in any case.
    tuning = replace(QUICK, epochs=3)
    warnings: list[str] = []
    seen: list[TuningProgress] = []
    summary = finetune(
        FinetuneRequest(tuning, name="own", validation_percentage=0.0, testing_percentage=25.0),
        workspace,
        on_progress=seen.append,
        on_warning=warnings.append,
    )
    assert any("without validation photos" in warning for warning in warnings)
    assert [one.epoch for one in seen if one.row is not None] == [1, 2, 3]
    assert summary.won
    assert arrays_in(workspace) == 24  # each photo once
    run = RunStore(workspace.runs_dir).get("own")
    assert (run.folder / "backbone.safetensors").is_file()
    assert isinstance(run.provenance.made, Tuned)
    assert run.provenance.made.base.weights == "random"
    assert '"weights": "backbone.safetensors"' in (run.folder / "config.json").read_text()
    moved = rename_run(run, "other")
    spec = backbone_of(moved)  # raises where the fingerprint is another
    assert spec.weights == str(moved.folder / "backbone.safetensors")
    # What it said when it was trained is what its own backbone says of the photos.
    photos = Path(moved.provenance.image_dir)
    _agrees(spec, photos, moved.folder)
    made = moved.provenance.commands("other", calibrated=False).steps
    assert made[0].arguments[:2] == ("bottlenecks", str(photos))
    assert "random" in made[0].arguments
    assert made[1].arguments[0] == "finetune"
    assert "--trainable" in made[1].arguments


def _agrees(spec: BackboneSpec, photos: Path, folder: Path) -> None:
    """The saved predictions of a run against its weights, read anew."""
    from retrain_cli.images.decode import decode_image
    from retrain_cli.runs.run import Run

    run = Run(folder)
    predictions = run.predictions
    size = (spec.input_size or 0, spec.input_size or 0)
    pixels = [
        decode_image((photos / path).read_bytes(), size, spec.resize_rule)
        for path in predictions.images.paths
    ]
    vectors = load_backbone(spec)(np.stack(pixels))
    scores = run.head.log_probabilities(vectors)
    own = np.take_along_axis(scores, predictions.images.labels[:, None], axis=1)[:, 0]
    # Activations were kept in 16 bits.
    np.testing.assert_allclose(own, predictions.log_probability, atol=0.05)


def test_a_lent_backbone_goes_on_from_run_to_run(workspace: Workspace) -> None:
    """A second fine-tuning starts from the backbone of the first, which nobody may take away."""
    unguarded = {"validation_percentage": 0.0, "testing_percentage": 25.0}
    tuning = replace(QUICK, epochs=1)
    finetune(FinetuneRequest(tuning, name="one", **unguarded), workspace)  # type: ignore[arg-type]
    stages: list[str] = []
    finetune(
        FinetuneRequest(tuning, weights="one", name="two", **unguarded),  # type: ignore[arg-type]
        workspace,
        lambda stage, done, total: stages.append(stage),
    )
    assert "bottlenecks" in stages
    store = RunStore(workspace.runs_dir)
    one, two = store.get("one"), store.get("two")
    own = str(one.folder / "backbone.safetensors")
    assert isinstance(two.provenance.made, Tuned)
    assert two.provenance.made.base.weights == own
    assert borrowers_of(one) == Borrowers((), is_last_used=True)
    with pytest.raises(RunError, match="the bottlenecks last used cannot do without it"):
        check_not_lent([one.folder])
    head = train_run(TrainRequest(TrainingConfig(steps=5), name="three"), workspace).run
    assert borrowers_of(one).runs == ("three",)
    moved = rename_run(one, "uno")
    assert store.get("three").info.backbone.weights == str(moved.folder / "backbone.safetensors")
    assert LastUsed.load(workspace).backbone.weights == str(moved.folder / "backbone.safetensors")
    backbone_of(store.get(head.name))  # raises where the weights are not there
    asked = BottleneckRequest(head.provenance.image_dir, BackboneSpec(weights="uno"))
    assert with_backbone_of_run(asked, workspace).backbone == moved.info.backbone
    fill_cache(BottleneckRequest(head.provenance.image_dir, SPEC), workspace)
    store.remove("three")
    check_not_lent([moved.folder])


def test_a_second_run_computes_no_activations_and_starts_from_a_head(workspace: Workspace) -> None:
    finetune(request(name="first"), workspace)
    stages: list[str] = []
    again = request(replace(QUICK, seed=3), name="second", from_run="first")
    run = RunStore(workspace.runs_dir).get("first")
    if run.info.has_own_backbone:
        with pytest.raises(RunError, match="needs a run of the backbone last used"):
            finetune(again, workspace)
        again = request(replace(QUICK, seed=3), name="second")
    summary = finetune(again, workspace, lambda stage, done, total: stages.append(stage))
    assert "frozen part" not in stages
    assert summary.result.epochs == 2


def test_a_full_disk_is_told_before_anything_is_computed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation_cache, "_LEFT_FREE", 1 << 60)
    tuning = replace(QUICK, trainable="last:2")
    with pytest.raises(WorkspaceError, match=r"GB are free .* stream=True takes none"):
        finetune(request(tuning), workspace)
    summary = finetune(request(replace(tuning, stream=True, epochs=1)), workspace)
    assert summary.result.epochs == 1


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("hub:/models/some", "is a SavedModel, which is one piece"),
        ("onnx:/models/some.onnx", "is an ONNX file, which only computes"),
        ("timm:resnet18.a1_in1k", "is a network of timm, which Keras cannot train"),
    ],
)
def test_networks_without_layers_are_refused(name: str, why: str) -> None:
    from retrain_cli.finetuning.parts import Parts

    with pytest.raises(BackboneError, match=why):
        Parts.build(BackboneSpec(name), QUICK)


def test_the_command(workspace: Workspace) -> None:
    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["--workspace", str(workspace.root), "finetune", *words])
        return done.exit_code, done.output

    code, output = run("--trainable", "last-block", "--plan", "--json")
    assert code == 0, output
    assert '"freeze_point": "conv_pw_12_relu"' in output
    code, output = run("--trainable", "last:99")
    assert code == 2
    code, output = run("--from", "nowhere", "--classes", "ant,bee")
    assert code == 2


def test_what_does_not_end_in_one_softmax_layer_is_refused(workspace: Workspace) -> None:
    config = TrainingConfig(steps=5, hidden=(4,), testing_percentage=25, validation_percentage=25)
    run = train_run(TrainRequest(config, "hidden"), workspace).run
    with pytest.raises(RunError, match="hidden is of another make"):
        finetune(request(from_run=run.name), workspace)
    several = replace(SPEC, layer="block_1_expand_relu,block_3_expand_relu")
    with pytest.raises(BackboneError, match="2 side by side"):
        Parts.build(several, QUICK)
