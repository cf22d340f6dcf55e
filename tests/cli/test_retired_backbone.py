"""A workspace, a run or a setting from when there was the backbone `mini`: what to do is said."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from commands import forget_standard_error
from helpers import make_photos
from made_runs import make_contents

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import RETIRED_CLASSES
from retrain_cli.cli.main import app, exit_codes
from retrain_cli.runs.run import RunStore
from retrain_cli.workspace import Workspace

MINI = BackboneSpec(
    "mini", weights="bundled", input_size=128, precision="float32", runtime="openvino", model="0"
)
PHOTO = "photos/ant/0000.png"


@pytest.fixture(autouse=True)
def old_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """As the version before left it: what was last used, and a run of the same backbone."""
    monkeypatch.chdir(tmp_path)
    photos = make_photos(tmp_path / "photos", {"ant": 2, "bee": 2})
    workspace = Workspace(tmp_path / ".retrain")
    workspace.prepare()
    used = {
        "image_dir": str(photos),
        "backbone": MINI.to_dict(),
        "source_classes": f"/old/retrain_cli/backbones/data/{RETIRED_CLASSES}",
        "int_ext": None,
        "complete": True,
        "fingerprint": "0123456789ab",
    }
    workspace.write_state({"last_used": used})
    contents = make_contents()
    made = replace(
        contents.info.provenance,
        backbone=MINI,
        source_classes=str(used["source_classes"]),
    )
    metrics = {"test": {"top1": 0.5, "top5": None, "images": 1}}
    with RunStore(workspace.runs_dir).create("old") as writer:
        writer.commit(
            replace(contents, info=replace(contents.info, provenance=made), metrics=metrics)
        )
    return workspace


def run(line: str) -> int | str | None:
    forget_standard_error()
    with pytest.raises(SystemExit) as left, exit_codes():
        app(shlex.split(line))
    return left.value.code


@pytest.mark.parametrize(
    "line",
    [
        "bottlenecks photos --backbone mini",
        "bottlenecks photos --backbone inception_mini",
        "train",
        "train --cv 3",
        "train --init-from old",
        "train --keep-source-classes",
        "train --init-from old --few-shot",
        f"label {PHOTO} --run old",
        "check",
        f"similar {PHOTO}",
        "classes",
        "classes --suggest",
        "add-class cat photos/bee --run old",
        "study stock",
        "study int-ext",
        "study examples",
        "study cost",
        "cache export vectors.csv",
    ],
)
def test_what_needs_the_backbone_says_what_to_do(
    line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(line) == 3
    told = [one for one in capfd.readouterr().err.splitlines() if one.strip()]
    assert len(told) == 1, told
    assert told[0].startswith("error: ")
    assert "mini" in told[0]
    assert "--backbone efficientnet_lite0" in told[0]


@pytest.mark.parametrize(
    ("name", "text"), [("RETRAIN_BACKBONE", ""), ("retrain.toml", "backbone = 'mini'\n")]
)
def test_a_setting_that_names_it_says_what_to_do(
    name: str, text: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if text:
        Path(name).write_text(text)
    else:
        monkeypatch.setenv(name, "mini")
    assert run("bottlenecks photos") == 3
    assert "--backbone efficientnet_lite0" in capfd.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "eval --run old",
        "runs",
        "runs show old",
        "runs verify",
        "cache info",
        "cache gc",
        "report old -o page.html",
    ],
)
def test_what_needs_it_not_goes_on(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(line) == 0, capfd.readouterr().err
