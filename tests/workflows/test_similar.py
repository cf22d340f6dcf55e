"""`similar` and `label --reject`, with the fake backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import FakeBackbone, make_photos
from PIL import Image

from retrain_cli.errors import ConfigError, DatasetError, RunError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.workflows import similar as similar_module
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.similar import SimilarRequest, SimilarSearch
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace


@pytest.fixture
def search(photos: Path, fill: Any, workspace: Workspace, fake_backbone: FakeBackbone) -> Any:
    fill(photos)

    def search(sources: list[Source], **request: Any) -> Any:
        with SimilarSearch(
            SimilarRequest(**request), workspace, load=lambda spec, device: fake_backbone
        ) as opened:
            return list(opened.search(sources))

    return search


def test_a_cached_photo_needs_no_backbone_and_is_no_answer_to_itself(
    search: Any, photos: Path, fake_backbone: FakeBackbone
) -> None:
    path, seen = photos / "ant/0000.png", fake_backbone.images_seen
    (answer,) = search([Source(str(path))], k=4, split="all")
    assert fake_backbone.images_seen == seen
    assert len(answer.photos) == 4
    assert str(path) not in {photo.path for photo in answer.photos}
    assert {photo.class_name for photo in answer.photos} == {"ant"}
    values = [photo.similarity for photo in answer.photos]
    assert values == sorted(values, reverse=True)


def test_a_new_photo_and_a_bad_one(search: Any, photos: Path, tmp_path: Path) -> None:
    new = make_photos(tmp_path / "new", {"ant": 1, "bee": 1, "teapot": 1}, seed=9)
    text = tmp_path / "note.txt"
    text.write_text("hello")
    first, bad, last = search(
        [Source(str(new / "bee/0000.png")), Source(str(text)), Source(str(photos / "ant/0001.png"))]
    )
    assert first.photos[0].class_name == "bee"
    assert (bad.photos, bad.error) == ((), "not an image")
    assert len(last.photos) == 5


def test_splits_are_searched_apart(search: Any, photos: Path) -> None:
    query = [Source(str(photos / "ant/0003.png"))]
    answers = {
        split: {p.path for p in search(query, k=100, split=split)[0].photos}
        for split in ("training", "validation", "test", "all")
    }
    parts = [answers[split] for split in ("training", "validation", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(answers["all"]) == 35


def test_blocks_and_index_agree_with_memory(
    search: Any, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = [Source(str(path)) for path in sorted(photos.rglob("*.png"))[:5]]
    exact = search(query, split="all")
    indexed = search(query, split="all", search="index")
    again = search(query, split="all", search="index")  # from its file
    monkeypatch.setattr(similar_module, "_MOST_IN_MEMORY", 0)
    monkeypatch.setattr(similar_module, "_ROWS_AT_A_TIME", 7)
    blocks = search(query, split="all")
    for one, two, three, four in zip(exact, blocks, indexed, again, strict=True):
        names = [photo.path for photo in one.photos]
        assert [photo.path for photo in two.photos] == names
        assert three.photos == four.photos
        assert len({p.path for p in three.photos} & set(names)) >= 4  # 16 bits may swap equals
        similarity = [photo.similarity for photo in one.photos]
        assert [p.similarity for p in three.photos] == pytest.approx(similarity, abs=5e-3)


def test_an_index_without_its_extra_names_the_remedy(
    search: Any, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(Exception, match=r"pip install 'retrain-cli\[index\]'"):
        search([Source(str(photos / "ant/0000.png"))], search="index")


@pytest.mark.parametrize("wrong", [{"k": 0}, {"split": "tests"}, {"search": "fast"}])
def test_requests_that_cannot_work(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        SimilarRequest(**wrong)


def test_an_empty_split(tmp_path: Path, fill: Any, workspace: Workspace) -> None:
    fill(make_photos(tmp_path / "few", {"ant": 1, "bee": 1}))
    with pytest.raises(DatasetError, match="split"):
        SimilarSearch(SimilarRequest(split="validation"), workspace)


# -- label --reject ------------------------------------------------------------------------------


@pytest.fixture
def labelled(tmp_path: Path, fill: Any, workspace: Workspace, fake_backbone: FakeBackbone) -> Any:
    photos = make_photos(tmp_path / "many", {"ant": 80, "bee": 80, "teapot": 80})
    fill(photos)
    train_run(TrainRequest(TrainingConfig(steps=300, validation_percentage=30)), workspace)

    def label(sources: list[Source], **request: Any) -> Any:
        wanted = LabelRequest(reject=True, **request)
        with Labeller(wanted, workspace, load=lambda spec, device: fake_backbone) as labeller:
            return labeller.rule, list(labeller.label(sources))

    return label


def test_photos_of_no_class_are_rejected_and_known_ones_named(
    labelled: Any, tmp_path: Path
) -> None:
    known = make_photos(tmp_path / "known", {"ant": 10, "bee": 10, "teapot": 10}, seed=5)
    sources = [Source(str(path)) for path in sorted(known.rglob("*.png"))]
    strange = tmp_path / "strange.png"
    stripes = np.zeros((30, 40, 3), np.uint8)
    stripes[:, ::10] = (255, 0, 255)
    Image.fromarray(stripes).save(strange)
    rule, answers = labelled([*sources, Source(str(strange)), Source("missing.png")])
    assert rule.wrong <= 0.05 * rule.kept
    named = [answer for answer in answers[:-2] if answer.labels]
    assert len(named) >= 0.8 * len(sources)
    assert all(answer.rejected is None and answer.novelty is not None for answer in named)
    assert answers[-2].rejected == "novel"
    assert answers[-2].labels == ()
    assert answers[-2].best is not None
    assert answers[-2].novelty > max(answer.novelty for answer in named)
    assert answers[-1].error
    assert answers[-1].rejected is None


def test_a_rate_that_cannot_be_reached(labelled: Any) -> None:
    with pytest.raises(RunError, match="max_error"):
        labelled([], max_error=0.001)
    with pytest.raises(ConfigError, match="max_error"):
        LabelRequest(max_error=0.0)


def test_a_run_without_validation_images(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    train_run(TrainRequest(TrainingConfig(steps=50, validation_percentage=0)), workspace)
    with pytest.raises(RunError, match="validation_percentage"):
        Labeller(LabelRequest(reject=True), workspace)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_any_readers_find_the_same(search: Any, photos: Path, tmp_path: Path, kind: str) -> None:
    new = make_photos(tmp_path / "new", {"ant": 3, "bee": 3}, seed=9)
    query = [Source(str(path)) for path in sorted(new.rglob("*.png"))]
    assert search(query, readers=kind, workers=2) == search(query)


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"readers": "forks"}])
def test_readers_that_cannot_be(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        SimilarRequest(**wrong)
