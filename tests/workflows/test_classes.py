"""The user's classes, INT or EXT, and what the backbone's own classifier sees in their photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.datasets.origins import ClassOrigin, match_origins, ruled_classes
from retrain_cli.datasets.source_classes import SourceClass, index_classes, load_source_classes
from retrain_cli.errors import ConfigError, DatasetError, WorkspaceError
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.classes import (
    ClassInfo,
    SeenClass,
    SuggestRequest,
    _doubt,
    _with_proposals,
    list_class_infos,
    write_override,
)
from retrain_cli.workspace import Workspace


def info(name: str, *seen: tuple[str, float], wnids: tuple[str, ...] = ()) -> ClassInfo:
    origin = ClassOrigin(name, "INT" if wnids else "EXT", wnids)
    return ClassInfo(origin, 10, tuple(SeenClass(wnid, wnid, share) for wnid, share in seen))


def proposals(*infos: ClassInfo) -> dict[str, str]:
    return {
        one.origin.class_name: one.proposal.wnid
        for one in _with_proposals(infos, 0.3)
        if one.proposal
    }


def test_a_class_is_proposed_where_it_is_seen_often_enough() -> None:
    assert proposals(info("plane", ("n1", 0.31)), info("brain", ("n2", 0.29)), info("x")) == {
        "plane": "n1"
    }


def test_a_source_class_is_proposed_once() -> None:
    """Where its name stands it is taken; else the class that is seen so most has it."""
    assert proposals(
        info("lotus", ("n1", 0.5)),
        info("sunflower", ("n1", 0.9)),
        info("camomile", ("n2", 0.9)),
        info("daisy", ("n2", 0.4), wnids=("n2",)),
    ) == {"sunflower": "n1"}


def test_an_ambiguous_name_is_settled_by_what_is_seen() -> None:
    crane = info("crane", ("n9", 0.5), ("n2", 0.3), ("n1", 0.2), wnids=("n1", "n2"))
    assert proposals(crane) == {"crane": "n2"}


def doubted(name: str, *shares: float, images: int = 10, ruled: tuple[str, ...] = ()) -> bool:
    """Whether the first of some source classes, which has this name, is doubted."""
    classes = [SourceClass(i, f"n{i}", (f"class {i}",)) for i in range(len(shares))]
    one = ClassInfo(ClassOrigin(name, "INT", ("n0",), "n0 mouse"), images)
    source = index_classes("mine", classes)
    return _doubt(one, np.array(shares), source, frozenset(ruled)) is not None


def test_a_name_is_doubted_where_the_backbone_sees_something_else() -> None:
    assert doubted("mouse", 0.0, 0.4, 0.6)
    assert doubted("mouse", 0.05, 0.2, 0.2)
    assert not doubted("mouse", 0.5, 0.3, 0.2)
    assert not doubted("mouse", 0.05, 0.08, 0.06), "it sees this in nothing else either"
    assert not doubted("mouse", 0.0, 1.0, images=4), "too few photos to tell"
    assert not doubted("mouse", 0.0, 1.0, ruled=("mouse",)), "the user said so"


def test_a_doubted_name_is_proposed_to_be_ext(tmp_path: Path) -> None:
    mouse = ClassInfo(
        ClassOrigin("mouse", "INT", ("n03793489",), "n03793489 mouse"),
        10,
        (SeenClass("n02342885", "hamster", 0.7),),
        doubt=0.0,
    )
    override = tmp_path / "override.csv"
    assert write_override([mouse], override) == 1
    (ruled,) = match_origins(["mouse"], load_source_classes("imagenet"), override)
    assert ruled.origin == "EXT"
    assert ruled_classes(override, ["mouse", "kite"]) == {"mouse"}
    assert ruled_classes(None, ["mouse"]) == frozenset()


def test_without_suggestion_no_classifier_is_needed(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    found = {one.origin.class_name: one for one in list_class_infos(workspace)}
    assert {name: one.images for name, one in found.items()} == {"ant": 12, "bee": 12, "teapot": 12}
    with pytest.raises(DatasetError, match="source classes are not known"):
        list_class_infos(workspace, SuggestRequest())


def test_errors(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="retrain bottlenecks"):
        list_class_infos(workspace)
    with pytest.raises(ConfigError, match="least_share"):
        SuggestRequest(least_share=0)


@pytest.mark.real
def test_airplanes_are_airliners_and_a_mouse_of_hedgehogs_is_none(
    test_data: Path, tmp_path: Path, workspace: Workspace
) -> None:
    """What the backbone sees is proposed, and names that mean something else are doubted."""
    shown = {"mouse": "hedgehog", "kite": "ketch", "boxer": "dalmatian", "monitor": "laptop"}
    names = ("airplanes", "rooster", "panda", "starfish", "pagoda", *shown)
    for name in names:
        (tmp_path / "photos" / name).mkdir(parents=True)
        count = 60 if name == "airplanes" else 8  # a few of them are warplanes
        folder = test_data / "data" / "caltech101" / shown.get(name, name)
        for photo in sorted(folder.iterdir())[:count]:
            (tmp_path / "photos" / name / photo.name).symlink_to(photo)
    weights = test_data / "weights" / "mobilenet_v2_1.0_224_notop.weights.h5"
    spec = BackboneSpec("mobilenet_v2", weights=str(weights), runtime="keras")
    fill_cache(BottleneckRequest(tmp_path / "photos", spec), workspace)
    top = test_data / "weights" / "mobilenet_v2_1.0_224.weights.h5"
    infos = list_class_infos(workspace, SuggestRequest(top))
    proposed = {one.origin.class_name: one.proposal.name for one in infos if one.proposal}
    assert proposed == {"airplanes": "airliner", "rooster": "cock", "panda": "giant panda"}
    assert {one.origin.class_name for one in infos if one.doubt is not None} == set(shown)

    override = tmp_path / "override.csv"
    assert write_override(infos, override) == 3 + len(shown)
    ruled = match_origins(sorted(names), load_source_classes("imagenet"), override)
    assert {one.class_name for one in ruled if one.origin == "EXT"} == {"pagoda", *shown}
    assert not any(one.ambiguous for one in ruled)
