"""`Labeller`: in order, as they come, bad files in place, cached vectors used."""

from __future__ import annotations

import queue
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import odd_decoders
import pytest
from helpers import LIMIT, FakeBackbone, make_photos

from retrain_cli.datasets.folders import images_below
from retrain_cli.errors import ConfigError, RunError
from retrain_cli.extraction import pipeline
from retrain_cli.extraction.readers import ThreadReaders
from retrain_cli.extraction.reading import MANY_PHOTOS, Ready
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace


@pytest.fixture
def labeller(photos: Path, fill: Any, workspace: Workspace, fake_backbone: FakeBackbone) -> Any:
    fill(photos)
    train_run(TrainRequest(TrainingConfig(steps=300)), workspace)

    with ExitStack() as stack:

        def make(**request: Any) -> Labeller:
            chosen = LabelRequest(**request)
            made = Labeller(chosen, workspace, load=lambda spec, device: fake_backbone)
            return stack.enter_context(made)

        yield make


def test_new_photos_are_named_in_order(labeller: Any, tmp_path: Path) -> None:
    new = make_photos(tmp_path / "new", {"ant": 9, "bee": 9, "teapot": 9}, seed=9)
    paths = sorted(new.rglob("*.png"), key=lambda path: path.name)
    answers = list(labeller(batch_size=4).label(Source(str(path)) for path in paths))
    assert [answer.path for answer in answers] == [str(path) for path in paths]
    right = [answer.labels[0].label in answer.path for answer in answers]
    assert np.mean(right) > 0.9
    for answer in answers:
        scores = [label.score for label in answer.labels]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(1)


def test_cached_bottlenecks_are_used_and_agree(
    labeller: Any, photos: Path, fake_backbone: FakeBackbone, tmp_path: Path
) -> None:
    path = photos / "ant" / "0000.png"
    seen = fake_backbone.images_seen
    cached = next(iter(labeller().label([Source(str(path))])))
    assert fake_backbone.images_seen == seen
    changed = tmp_path / "changed.png"
    changed.write_bytes(path.read_bytes() + b"\0")  # another digest, the same pixels
    computed = next(iter(labeller().label([Source(str(changed))])))
    assert fake_backbone.images_seen == seen + 1
    for one, other in zip(cached.labels, computed.labels, strict=True):
        assert one.label == other.label
        assert one.score == pytest.approx(other.score, rel=1e-4)


def test_bad_files_are_told_in_their_place(labeller: Any, photos: Path, tmp_path: Path) -> None:
    text = tmp_path / "note.txt"
    text.write_text("hello")
    names = [photos / "ant" / "0000.png", text, tmp_path / "missing.jpg", photos / "bee/0000.png"]
    answers = list(labeller().label(Source(str(name)) for name in names))
    assert [bool(answer.error) for answer in answers] == [False, True, True, False]
    assert "No such file" in answers[2].error
    assert answers[1].labels == ()


def test_each_photo_of_a_slow_pipe_is_answered_before_the_next_comes(
    labeller: Any, photos: Path
) -> None:
    paths = sorted(photos.rglob("*.png"))[:5]
    pipe: queue.Queue[str | None] = queue.Queue()
    answers: queue.Queue[str] = queue.Queue()

    def label() -> None:
        sources = (Source(path) for path in iter(pipe.get, None))
        for answer in labeller().label(sources):
            answers.put(answer.path)

    thread = threading.Thread(target=label)
    thread.start()
    for path in paths:
        pipe.put(str(path))
        assert answers.get(timeout=LIMIT) == str(path)
    pipe.put(None)
    thread.join(LIMIT)
    assert not thread.is_alive()


@pytest.mark.parametrize("come", [list, Ready.of, iter], ids=["list", "ready", "by and by"])
def test_processes_name_what_threads_name(labeller: Any, tmp_path: Path, come: Any) -> None:
    new = make_photos(tmp_path / "new", {"ant": 9, "bee": 9}, seed=9)
    (new / "ant" / "0004.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    sources = [Source(str(path)) for path in sorted(new.rglob("*.png"))]
    sources[7] = Source("stdin:1", (new / "bee" / "0000.png").read_bytes())
    answers = {
        kind: list(labeller(batch_size=4, workers=2, readers=kind).label(come(sources)))
        for kind in ("threads", "processes")
    }
    assert answers["processes"] == answers["threads"]
    assert [answer.path for answer in answers["threads"]] == [source.name for source in sources]


def test_a_decoder_that_crashes_costs_its_photo_alone(
    labeller: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "decode_image", odd_decoders.crash_on_poison)
    paths = sorted(make_photos(tmp_path / "new", {"ant": 9, "bee": 9}, seed=9).rglob("*.png"))
    odd_decoders.poison(paths[5])
    opened = labeller(batch_size=4, workers=2, readers="processes")
    answers = list(opened.label([Source(str(path)) for path in paths]))
    assert [answer.path for answer in answers] == [str(path) for path in paths]
    assert {answer.path: answer.error for answer in answers if answer.error} == {
        str(paths[5]): "its decoder crashed (SIGSEGV)"
    }


def test_what_is_listed_decides_who_reads(
    labeller: Any, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hired: list[str] = []

    class Spy(ThreadReaders):
        def __init__(self, decode: Any, store: Any, count: int) -> None:
            super().__init__(decode, store, count)
            hired.append("threads")

    def processes(decode: Any, store: Any, pixel_bytes: int, count: int) -> ThreadReaders:
        hired.append("processes")
        return ThreadReaders(decode, store, count)

    monkeypatch.setattr(pipeline, "ThreadReaders", Spy)
    monkeypatch.setattr(pipeline, "ProcessReaders", processes)
    source = Source(str(photos / "ant" / "0000.png"))
    many = [source] * MANY_PHOTOS
    for sources in (many, Ready.of(iter(many)), many[1:], iter(many)):
        assert all(answer.labels for answer in labeller(workers=2).label(sources))
    assert hired == ["processes", "processes", "threads", "threads"]


def test_the_error_of_a_source_comes_after_the_answers_before_it(
    labeller: Any, photos: Path
) -> None:
    def sources() -> Any:
        yield Source(str(photos / "ant" / "0000.png"))
        raise ConfigError("the list broke off")

    answers = labeller().label(sources())
    assert next(answers).labels
    with pytest.raises(ConfigError, match="broke off"):
        next(answers)


def test_top_k_and_threshold(labeller: Any, photos: Path) -> None:
    source = Source(str(photos / "ant" / "0000.png"))
    assert len(next(labeller(top_k=2).label([source])).labels) == 2
    everything = next(labeller().label([source])).labels
    middle = everything[0].score
    assert len(next(labeller(threshold=middle).label([source])).labels) == 1


def test_image_bytes(labeller: Any, photos: Path) -> None:
    path = photos / "ant" / "0000.png"
    answer = next(labeller().label([Source("stdin:1", path.read_bytes())]))
    assert (answer.path, answer.error) == ("stdin:1", None)
    broken = next(labeller().label([Source("stdin:2", b"\xff\xd8\xffhello")]))
    assert broken.error


def test_folders_are_searched_for_images(photos: Path, tmp_path: Path) -> None:
    (photos / "ant" / "note.txt").write_text("hello")
    (photos / ".hidden").mkdir()
    (photos / "ant" / "0000.png").rename(photos / "ant" / "no_extension")
    found = list(images_below(photos))
    assert len(found) == 36
    assert photos / "ant" / "no_extension" in found


def test_without_a_run(workspace: Workspace) -> None:
    with pytest.raises(RunError):
        Labeller(LabelRequest(), workspace)


@pytest.mark.parametrize(
    "wrong", [{"top_k": 0}, {"threshold": 2.0}, {"batch_size": 0}, {"device": "tpu"}]
)
def test_requests_that_cannot_work(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        LabelRequest(**wrong)


@pytest.mark.parametrize("reject", [False, True])
def test_scores_are_for_the_prior_that_is_asked_for(
    reject: bool, labeller: Any, photos: Path, workspace: Workspace
) -> None:
    config = TrainingConfig(steps=100, balance="prior", validation_percentage=30)
    head = train_run(TrainRequest(config, calibrate=False), workspace).run.head
    paths = sorted(photos.rglob("*.png"))[:4]

    def scores(**request: Any) -> list[dict[str, float]]:
        made = labeller(reject=reject, max_error=0.5, **request)
        answers = made.label([Source(str(path)) for path in paths])
        return [{one.label: one.score for one in answer.labels} for answer in answers]

    uniform, natural = scores(), scores(prior="natural")
    assert scores(prior="uniform") == uniform
    shares = dict(zip(head.labels, np.exp(head.prior.logs).tolist(), strict=True))
    for one, other in zip(uniform, natural, strict=True):
        if reject and not (one and other):
            continue
        odds = {name: other[name] / (one[name] * shares[name]) for name in one}
        assert np.ptp(np.log(list(odds.values()))) < 1e-2


def test_a_prior_takes_a_run_that_knows_one(labeller: Any) -> None:
    with pytest.raises(RunError, match=r"was not trained with .*: train one with"):
        labeller(prior="natural")
    with pytest.raises(ConfigError, match="takes one of uniform, natural"):
        labeller(prior="flat")
