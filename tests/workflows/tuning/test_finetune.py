"""`retrain finetune` from photos to a run whose backbone is its own, on a real small network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SMALL_SPEC, make_photos
from numpy.typing import NDArray
from typer.testing import CliRunner

from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.array_batch import ArrayBatch
from retrain_cli.cache.cache_files import cache_files
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cli.main import app
from retrain_cli.errors import BackboneError, CacheError, ConfigError, RunError, WorkspaceError
from retrain_cli.finetuning import activation_cache, batch_sources
from retrain_cli.finetuning.activation_cache import ActivationCache
from retrain_cli.finetuning.batch_sources import CachedActivations
from retrain_cli.finetuning.freeze_points import FreezePoint
from retrain_cli.finetuning.parts import Parts
from retrain_cli.finetuning.tuning import TuningProgress
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.images.distortions import USUAL, Distortion, decode_views
from retrain_cli.runs.lent_backbones import Borrowers, borrowers_of, check_not_lent
from retrain_cli.runs.making import Tuned
from retrain_cli.runs.renaming import rename_run
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.label import backbone_of
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workflows.tuning.finetune import FinetuneSession, finetune
from retrain_cli.workflows.tuning.finetune_request import FinetuneRequest
from retrain_cli.workflows.tuning.starting_weights import with_backbone_of_run
from retrain_cli.workflows.tuning.tuning_plan import missing_arrays, plan_finetune
from retrain_cli.workspace import Workspace

SPEC = replace(SMALL_SPEC, alpha=0.25)
QUICK = TuningConfig("last-block", epochs=2, learning_rate=0.003, batch_size=8)
VIEWS = replace(QUICK, epochs=1, views=2)
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
    told = "epoch 3 of 3 by fine-tuning, the last one: there were no validation photos"
    assert told in shown(workspace, "own")
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
        with pytest.raises(RunError, match=r"fine-tuned .* of its own: .* with weights='first'"):
            finetune(again, workspace)
        again = request(replace(QUICK, seed=3), name="second")
    summary = finetune(again, workspace, lambda stage, done, total: stages.append(stage))
    assert "frozen part" not in stages
    assert summary.result.epochs == 2


def test_photos_that_are_gone_and_others_in_their_place_are_told_apart(
    workspace: Workspace,
) -> None:
    photo, tuning = (
        workspace.root.parent / "photos/ant/0000.png",
        replace(QUICK, trainable="last:4"),
    )
    content = photo.read_bytes()
    try:
        for left, told in (
            (None, r"is not \(cannot be read"),
            (content + b" ", "is another one now"),
        ):
            photo.unlink() if left is None else photo.write_bytes(left)
            with pytest.raises(CacheError, match=told):
                finetune(request(tuning), workspace)
    finally:
        photo.write_bytes(content)


def test_a_full_disk_is_told_before_anything_is_computed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation_cache, "_LEFT_FREE", 1 << 60)
    tuning = replace(QUICK, trainable="last:2")
    with pytest.raises(WorkspaceError, match=r"take \d\.\d MB, .* stream=True takes none"):
        finetune(request(tuning), workspace)
    # What streams has views of its own in each epoch, and keeps none.
    seen: set[int] = set()

    def decode(data: bytes, **more: Any) -> NDArray[np.uint8]:
        seen.update(more["views"])
        return decode_views(data, **more)

    monkeypatch.setattr(batch_sources, "decode_views", decode)
    before = arrays_in(workspace)
    finetune(request(replace(tuning, stream=True, epochs=3, views=2)), workspace)
    assert seen == {0, 1, 2, 3}
    assert arrays_in(workspace) == before


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


def views_in(workspace: Workspace) -> dict[int, int]:
    """How many activations there are of each view."""
    counts: dict[int, int] = {}
    for path in cache_files(workspace.cache_dir):
        with BottleneckStore(path, read_only=True) as store:
            for _, view in store.arrays.all_keys():
                counts[view] = counts.get(view, 0) + 1
    return counts


def missing(tuning: TuningConfig, workspace: Workspace) -> tuple[int, int]:
    return missing_arrays(FinetuneSession.open(request(tuning), workspace))


def shown(workspace: Workspace, run: str) -> str:
    words = ["--workspace", str(workspace.root), "runs", "show", run]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, words)
    return " ".join(done.output.split())


def test_training_draws_among_views_and_more_of_them_compute_only_what_is_new(
    workspace: Workspace,
) -> None:
    plan = plan_finetune(request(VIEWS), workspace)
    assert plan.missing_views == 2 * plan.training
    assert plan.disk_bytes > 0
    told: list[tuple[int, int]] = []
    run = finetune(
        request(VIEWS, name="views"),
        workspace,
        lambda stage, done, total: told.append((done, total)) if stage == "frozen part" else None,
    ).run
    total = plan.missing + plan.missing_views
    assert told[-1] == (total, total)
    counts = views_in(workspace)  # validation and test stay plain
    assert (counts[1], counts[2]) == (plan.training, plan.training)
    assert missing(VIEWS, workspace) == (0, 0)
    assert missing(replace(VIEWS, views=3), workspace) == (0, plan.training)
    # Other views are in a file of their own.
    other = replace(VIEWS, distortion=Distortion(rotate=90))
    assert missing(other, workspace) == (0, 2 * plan.training)
    # The run says what it was trained on, and how to make it again.
    assert run.provenance.views == (str(USUAL), 2)
    words = run.provenance.commands("again", calibrated=False).steps[-1].arguments
    at = words.index("--views")
    assert words[at : at + 4] == ("--views", "2", "--flip", "--crop")
    assert f"2 of each training photo ({USUAL})" in shown(workspace, run.name)


def test_a_killed_training_on_views_goes_on_to_the_same_numbers(workspace: Workspace) -> None:
    class KilledError(Exception):
        pass

    def listen(progress: TuningProgress) -> None:
        if progress.row is not None and progress.epoch == 1:
            raise KilledError

    tuning = replace(VIEWS, epochs=2, dropout=0.2)
    whole = finetune(request(tuning, name="whole"), workspace).run
    with pytest.raises(KilledError):
        finetune(request(tuning, name="cut"), workspace, on_progress=listen)
    seen: list[int] = []
    gone_on = finetune(
        request(tuning, name="cut", resume=True),
        workspace,
        on_progress=lambda progress: seen.append(progress.epoch),
    ).run
    assert set(seen) == {2}
    for one, other in zip(whole.history, gone_on.history, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-3)


def test_a_name_that_no_run_can_have_is_refused_before_any_work(workspace: Workspace) -> None:
    seen: list[object] = []
    with pytest.raises(RunError, match="plain folder name"):
        finetune(
            replace(request(QUICK, name="last:3"), weights="random"),
            workspace,
            lambda *photo: seen.append(photo),
        )
    assert not seen


def test_a_damaged_state_stops_who_goes_on_with_it_and_nobody_else(workspace: Workspace) -> None:
    class KilledError(Exception):
        pass

    def listen(progress: TuningProgress) -> None:
        if progress.row is not None:
            raise KilledError

    tuning = replace(QUICK, epochs=1)
    with pytest.raises(KilledError):
        finetune(request(tuning), workspace, on_progress=listen)
    (state,) = workspace.tunings_dir.glob("*.npz")
    state.write_bytes(state.read_bytes()[:1_000])
    with pytest.raises(RunError, match="cut short and cannot be read"):
        finetune(request(tuning, resume=True), workspace)
    assert finetune(request(tuning), workspace).result.epochs == 1


def test_views_are_of_the_photos_that_they_are_asked_of(
    workspace: Workspace, tmp_path: Path
) -> None:
    """A batch of photos and views is in its order, whichever file each comes from."""
    point = FreezePoint("some", (1, 1, 2), frozenset(), ())
    with (
        BottleneckStore(tmp_path / "plain.sqlite", {"name": "plain"}) as plain,
        BottleneckStore(tmp_path / "views.sqlite", {"name": "views"}) as views,
    ):
        digests = [bytes([number]) * 16 for number in range(3)]
        for store, numbers in ((plain, (0,)), (views, (1, 2))):
            keys = [(digest, view) for digest in digests for view in numbers]
            values = [[[[digest[0], view]]] for digest, view in keys]
            store.arrays.put(keys, ArrayBatch(np.array(values, np.float16)))
        source = CachedActivations(
            digests,
            ActivationCache(plain, point, "float16"),
            ActivationCache(views, point, "float16", (1, 2), USUAL),
        )
        for rows in ([0, 2], [5, 3], [8, 0, 4, 4, 1]):
            (found,) = source.read(np.array(rows))
            expected = [[row % 3, row // 3] for row in rows]
            np.testing.assert_array_equal(found.reshape(-1, 2), expected)


def test_views_are_part_of_the_settings() -> None:
    config = replace(VIEWS, distortion=Distortion(flip=True, rotate=90))
    assert TuningConfig.from_dict(config.to_dict()) == config
    assert TuningConfig(views=1).distortion == USUAL
    values = TuningConfig().to_dict()
    del values["views"], values["distortion"]  # as a run that was made before there were any
    assert TuningConfig.from_dict(values) == TuningConfig()
    with pytest.raises(ConfigError, match="views is 0: add views=4"):
        TuningConfig(distortion=Distortion(flip=True))
    with pytest.raises(ConfigError, match="at most 1,000"):
        TuningConfig(views=1_001)
