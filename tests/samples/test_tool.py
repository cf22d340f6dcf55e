from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest
from helpers import load_tool

PROJECT = Path(__file__).resolve().parents[2]
GREY = PROJECT / "sample_images" / "daisy" / "daisy_16_grey.jpg"
PHOTO = PROJECT / "sample_images" / "daisy" / "daisy_01.jpg"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_tool("make_sample_images")


def test_check_bears_with_another_encoder_but_not_with_another_picture(
    tool: ModuleType, tmp_path: Path
) -> None:
    padded = tmp_path / "padded.jpg"
    padded.write_bytes(PHOTO.read_bytes() + b"\0")
    assert not tool.differs(PHOTO, padded)
    assert tool.differs(PHOTO, GREY)
    assert tool.differs(PHOTO, PHOTO.with_name("daisy_02.jpg"))


def test_check_names_the_files_that_differ(
    tool: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def write(folder: Path) -> list[Path]:
        return [Path(shutil.copy(photo, folder)) for photo in (PHOTO, GREY)]

    monkeypatch.setattr(tool, "write_sample_images", write)
    write(tmp_path)
    assert tool.check(tmp_path) == 0
    shutil.copy(PHOTO, tmp_path / GREY.name)
    (tmp_path / "extra.jpg").write_bytes(b"")
    assert tool.check(tmp_path) == 1
    told = capsys.readouterr().err
    assert "extra.jpg is not" in told
    assert f"{GREY.name} is not" in told
    assert PHOTO.name not in told
