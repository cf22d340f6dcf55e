"""Every kind of bad input ends with the documented exit code, one clear line, and nothing lost."""

from __future__ import annotations

import io
import json
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import LIMIT, QUICK_HEAD, RETRAIN, TINY, Outcome, make_photos, wait_for
from PIL import Image

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture(scope="module")
def filled_template(make_template: Callable[..., Path]) -> Path:
    """Photos and their bottlenecks."""
    return make_template(
        lambda photos: make_photos(photos, {"ant": 12, "bee": 12}),
        ["bottlenecks", "photos", *TINY],
    )


@pytest.fixture(scope="module")
def trained_template(filled_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and a run."""
    root = tmp_path_factory.mktemp("trained")
    shutil.copytree(filled_template, root, dirs_exist_ok=True)
    train = [str(RETRAIN), "train", *QUICK_HEAD, "--name", "orchids"]
    subprocess.run(train, cwd=root, check=True, capture_output=True)
    return root


@pytest.fixture
def filled(filled_template: Path, tmp_path: Path) -> Path:
    """The test's own folder, with `photos` and a workspace with their bottlenecks."""
    return shutil.copytree(filled_template, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def trained(trained_template: Path, tmp_path: Path) -> Path:
    """The same, and a run named orchids."""
    return shutil.copytree(trained_template, tmp_path, dirs_exist_ok=True)


def bomb() -> bytes:
    """A PNG of a few bytes whose header promises 50,000 x 50,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def truncated_jpeg() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((200, 200), 50).save(file, "JPEG")
    return file.getvalue()[:2000]


def test_no_such_folder(retrain: Callable[..., Outcome]) -> None:
    assert "nowhere" in retrain("bottlenecks", "nowhere", *TINY).refused()


def test_an_empty_folder(retrain: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty" in retrain("bottlenecks", "empty", *TINY).refused()


def test_photos_without_class_folders(retrain: Callable[..., Outcome], photos: Path) -> None:
    assert "sub-folder" in retrain("bottlenecks", photos / "ant", *TINY).refused()


def test_one_class_only(retrain: Callable[..., Outcome], tmp_path: Path) -> None:
    make_photos(tmp_path / "one", {"ant": 5})
    assert "2 classes" in retrain("bottlenecks", "one", *TINY).refused()


def test_two_classes_that_differ_only_in_case(
    retrain: Callable[..., Outcome], tmp_path: Path
) -> None:
    make_photos(tmp_path / "photos", {"Cat": 5, "cat": 5})
    line = retrain("bottlenecks", "photos", *TINY).refused()
    assert "Cat" in line
    assert "case" in line


def test_a_class_whose_images_are_all_bad(retrain: Callable[..., Outcome], photos: Path) -> None:
    for path in (photos / "bee").iterdir():
        path.write_bytes(b"")
    assert "all are bad in bee" in retrain("bottlenecks", photos, *TINY).refused()
    assert retrain("cache", "info", "--json").json[0]["bottlenecks"] == 24


BAD_IMAGES = {
    "cut.jpg": (truncated_jpeg(), "truncated"),
    "text.jpg": (b"this is a text, whatever its name says\n", "not an image"),
    "empty.jpg": (b"", "0 bytes"),
    "bomb.png": (bomb(), "50000 x 50000"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_with_strict_a_bad_image_is_an_error(
    retrain: Callable[..., Outcome], photos: Path, name: str
) -> None:
    content, reason = BAD_IMAGES[name]
    (photos / "ant" / name).write_bytes(content)
    line = retrain("bottlenecks", photos, *TINY, "--strict").refused()
    assert f"ant/{name}" in line
    assert reason in line


def test_bad_images_are_skipped_counted_and_listed(
    retrain: Callable[..., Outcome], photos: Path
) -> None:
    for name, (content, _) in BAD_IMAGES.items():
        (photos / "bee" / name).write_bytes(content)
    outcome = retrain("bottlenecks", photos, *TINY)
    assert outcome.code == 0
    assert "36 computed, 4 skipped" in outcome.out
    warnings = {line.split(": ")[1]: line for line in outcome.err.splitlines()}
    for name, (_, reason) in BAD_IMAGES.items():
        assert reason in warnings[f"skipped bee/{name}"]
    bad = retrain("bottlenecks", photos, *TINY, "--json").json["bad"]
    assert sorted(entry["path"] for entry in bad) == sorted(f"bee/{name}" for name in BAD_IMAGES)


def test_an_unreadable_file(retrain_as_user: Any, photos: Path) -> None:
    (photos / "ant" / "0000.png").chmod(0)
    outcome = retrain_as_user("bottlenecks", photos, *TINY)
    assert outcome.code == 0
    assert "skipped ant/0000.png: cannot be read (Permission denied)" in outcome.err
    (photos / "bee").chmod(0)
    assert "bee" in retrain_as_user("bottlenecks", photos, *TINY).refused()
    (photos / "bee").chmod(0o755)


def test_a_read_only_workspace(
    retrain_as_user: Any, retrain: Callable[..., Outcome], photos: Path, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    line = retrain_as_user("--workspace", closed, "bottlenecks", photos, *TINY).refused()
    assert "the workspace must be a folder that can be written" in line
    # One that was filled before can be read, but gets nothing new.
    assert retrain("bottlenecks", photos, *TINY).code == 0
    for folder in (tmp_path / ".retrain", *(tmp_path / ".retrain").iterdir()):
        if folder.is_dir():
            folder.chmod(0o555)
    make_photos(photos, {"ant": 20}, seed=3)
    line = retrain_as_user("bottlenecks", photos, *TINY).refused()
    assert "written" in line


def test_a_workspace_that_cannot_be_made(
    retrain: Callable[..., Outcome], photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    line = retrain("--workspace", "file/inside", "bottlenecks", photos, *TINY).refused()
    assert "--workspace" in line


def test_a_non_latin_class_name_works(retrain: Callable[..., Outcome], tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", {"猫": 6, "собака": 6})
    assert retrain("bottlenecks", "photos", *TINY).code == 0
    assert retrain("train", *QUICK_HEAD).code == 0
    assert retrain("runs", "show", "--json").json["classes"] == ["собака", "猫"]
    assert "猫" in retrain("eval", "--split", "all").out


def test_a_full_disk(
    tmp_path: Path, environment: dict[str, str], photos: Path, retrain: Callable[..., Outcome]
) -> None:
    """A limit on the size of files is how a disk that fills up looks to the program."""
    assert retrain("bottlenecks", photos, *TINY).code == 0
    make_photos(photos, {"ant": 300}, seed=7)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (180_000, 180_000))

    done = subprocess.run(
        [str(RETRAIN), "bottlenecks", str(photos), *TINY, "--batch-size", "16"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
        preexec_fn=limit,
        timeout=LIMIT,
    )
    assert done.returncode == 3, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "free some space" in errors[0]
    assert "all sound" in retrain("cache", "verify").out
    kept = retrain("cache", "info", "--json").json[0]["bottlenecks"]
    assert kept >= 36
    assert retrain("bottlenecks", photos, *TINY).code == 0
    summary = retrain("bottlenecks", photos, *TINY, "--json").json
    assert (summary["images"], summary["computed"]) == (324, 0)


def test_weights_of_another_architecture(
    retrain: Callable[..., Outcome], photos: Path, tmp_path: Path
) -> None:
    from retrain_cli.engine import load_keras

    keras = load_keras()
    keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.35
    ).save_weights(tmp_path / "v2.weights.h5")
    line = retrain(
        "bottlenecks", photos, "--backbone", "mobilenet", "--weights", "v2.weights.h5"
    ).refused()
    assert "v2.weights.h5" in line
    assert "mobilenet" in line


def test_weights_that_do_not_exist(retrain: Callable[..., Outcome], photos: Path) -> None:
    assert "none.h5" in retrain("bottlenecks", photos, "--weights", "none.h5").refused()


def test_weights_that_are_none(
    retrain: Callable[..., Outcome], photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.weights.h5").write_text("hello")
    outcome = retrain("bottlenecks", photos, *TINY[:4], "--weights", "text.weights.h5")
    assert "text.weights.h5" in outcome.refused()


def test_imagenet_weights_without_a_network(
    retrain: Callable[..., Outcome], photos: Path, tmp_path: Path
) -> None:
    outcome = retrain("bottlenecks", photos, env={"KERAS_HOME": str(tmp_path / "keras")})
    line = outcome.refused()
    for part in ("https://", "--weights", str(tmp_path / "keras"), "--backbone efficientnet_lite"):
        assert part in line


def test_an_unknown_layer_and_an_unknown_backbone(
    retrain: Callable[..., Outcome], photos: Path
) -> None:
    assert "conv_pw_9" in retrain("bottlenecks", photos, *TINY, "--layer", "conv_pw_99x").refused()
    line = retrain("bottlenecks", photos, "--backbone", "inceptoin_v3").refused()
    assert "inception_v3" in line


NAMING_A_RUN = (
    ("eval", "--run"),
    ("label", "x.jpg", "--run"),
    ("runs", "show"),
)


@pytest.mark.usefixtures("filled")
def test_no_run_yet(retrain: Callable[..., Outcome], retrain_here: Callable[..., Outcome]) -> None:
    assert "retrain train" in retrain("eval").refused()
    for command in ("label", "x.jpg"), ("runs", "show"):
        assert "retrain train" in retrain_here(*command).refused()


@pytest.mark.usefixtures("trained")
def test_a_run_that_does_not_exist(
    retrain: Callable[..., Outcome], retrain_here: Callable[..., Outcome]
) -> None:
    assert "orchids" in retrain("eval", "orchis").refused()
    for command in NAMING_A_RUN:
        assert "orchids" in retrain_here(*command, "orchis").refused()


def test_a_damaged_run_hides_no_other(retrain: Callable[..., Outcome], trained: Path) -> None:
    runs = trained / ".retrain" / "runs"
    shutil.copytree(runs / "orchids", runs / "broken")
    (runs / "broken" / "config.json").write_text("{")
    listed = retrain("runs")
    assert listed.code == 0
    assert "orchids" in listed.out
    assert "retrain runs rm broken" in listed.err
    assert retrain("runs", "rm", "broken", "broken").code == 0


def test_runs_that_cannot_be_written(retrain: Callable[..., Outcome], filled: Path) -> None:
    runs = filled / ".retrain" / "runs"
    runs.rmdir()
    runs.write_text("no folder")  # stands for any refusal
    assert "could not be written" in retrain("train", *QUICK_HEAD).refused()


def test_names_that_no_file_can_have(retrain: Callable[..., Outcome], trained: Path) -> None:
    good = next((trained / "photos").rglob("*.png"))
    names = ("a" * 5000, "one.jpg\0two.jpg", str(good))
    answer = retrain("label", "-", stdin="".join(f"{name}\n" for name in names).encode())
    assert answer.code == 0
    too_long, with_a_zero, labelled = map(json.loads, answer.out.splitlines())
    assert too_long["error"]
    assert with_a_zero["error"]
    assert "error" not in labelled


def test_train_before_bottlenecks(retrain: Callable[..., Outcome]) -> None:
    assert "retrain bottlenecks IMAGE_DIR" in retrain("train").refused()


def test_a_cache_made_by_a_newer_version(retrain: Callable[..., Outcome], filled: Path) -> None:
    (path,) = (filled / ".retrain" / "cache").glob("*.sqlite")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1000")
    connection.close()
    for command in (["bottlenecks", "photos", *TINY], ["train"], ["cache", "info"]):
        assert "newer version" in retrain(*command).refused()
    assert path.exists()


def test_two_commands_in_one_workspace(
    retrain: Callable[..., Outcome], tmp_path: Path, environment: dict[str, str]
) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 400, "bee": 400})
    command = [str(RETRAIN), "bottlenecks", str(photos), *TINY]
    first = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    owner = tmp_path / ".retrain" / "lock.owner"
    wait_for(lambda: owner.exists() and owner.read_text(), "the lock of the first command")
    first.send_signal(signal.SIGSTOP)  # it will not be done too early
    line = retrain("bottlenecks", photos, *TINY).refused()
    first.send_signal(signal.SIGCONT)
    assert f"(process {first.pid}) is at work" in line
    out, err = first.communicate(timeout=LIMIT)
    assert first.returncode == 0, err
    assert b"800 computed" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["bottlenecks"],
        ["train", "--steps", "0"],
        ["train", "--optimizer", "adma"],
        ["eval", "--split", "exam"],
        ["eval", "--top-k", "3,x"],
        ["eval", "--json", "--csv"],
        ["label"],
        ["bottlenecks", ".", "--batch-size", "0"],
    ],
)
def test_wrong_usage_exits_with_2(retrain_here: Callable[..., Outcome], arguments: Any) -> None:
    check_usage(retrain_here(*arguments))


@pytest.mark.parametrize(
    "arguments", [["bottleneck"], ["train", "--steps", "many"], ["--nonsense"]]
)
def test_wrong_usage_ends_a_process_with_2(retrain: Callable[..., Outcome], arguments: Any) -> None:
    check_usage(retrain(*arguments))


def check_usage(outcome: Outcome) -> None:
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
