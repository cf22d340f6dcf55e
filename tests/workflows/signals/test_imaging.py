"""`retrain signals` from recordings to a folder that `bottlenecks` takes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import SMALL_SPEC, FakeBackbone, load_tool
from PIL import Image
from scipy.io import wavfile

from retrain_cli.datasets.splits import nohash_group
from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.signals.pictures import draw_window
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.signals.imaging import draw_signals
from retrain_cli.workflows.signals.request import Drawing, SignalRequest
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

SMALL = Drawing(window=64, size=24)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Readings with anomalies, as tools/make_signals.py makes them."""
    folder = tmp_path_factory.mktemp("signals")
    tool = load_tool("make_signals")
    readings, lines = tool.make(seconds=120, rate=20, every=8, seed=1)
    np.savetxt(
        folder / "pressure.csv", readings, delimiter=",", header="a,b,c", comments="", fmt="%.5g"
    )
    (folder / "events.csv").write_text("\n".join(("start,end,label", *lines)), encoding="utf-8")
    return folder


def ask(made: Path, output: Path, **more: object) -> SignalRequest:
    return SignalRequest(
        (made / "pressure.csv",),
        output,
        **{"drawing": SMALL, "events": made / "events.csv", "rate": 20.0, **more},  # type: ignore[arg-type]
    )


def listing(output: Path) -> list[dict[str, str]]:
    with (output / "windows.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_images_are_of_their_windows_and_labels(made: Path, tmp_path: Path) -> None:
    summary = draw_signals(ask(made, tmp_path / "images"))
    assert set(summary.images) == {"anomaly", "normal"}
    rows = listing(tmp_path / "images")
    files = {path.relative_to(tmp_path / "images").as_posix() for path in tmp_path.rglob("*.png")}
    assert {row["image"] for row in rows} == files
    assert len(rows) == sum(summary.images.values())
    samples = np.loadtxt(made / "pressure.csv", delimiter=",", skiprows=1)
    events = np.loadtxt(made / "events.csv", delimiter=",", skiprows=1, usecols=(0, 1))
    for row in rows:
        start, end = int(row["start"]), int(row["end"])
        assert end - start == 64
        assert float(row["seconds"]) == pytest.approx(start / 20)
        assert row["image"].split("/")[0] == row["label"]
        touched = any(begin * 20 < end and start < stop * 20 for begin, stop in events)
        assert touched == (row["label"] == "anomaly")
    one = rows[len(rows) // 2]
    expected = draw_window(samples[int(one["start"]) : int(one["end"])], "spectrogram", 24)
    with Image.open(tmp_path / "images" / one["image"]) as drawn:
        assert drawn.mode == "RGB"
        assert np.array_equal(np.asarray(drawn), np.asarray(expected))


def test_windows_of_two_groups_share_no_sample(made: Path, tmp_path: Path) -> None:
    draw_signals(ask(made, tmp_path / "images", step=8, block=2))
    rows = listing(tmp_path / "images")
    groups = [(row["label"], nohash_group(Path(row["image"]).name)) for row in rows]
    starts = [int(row["start"]) for row in rows]
    assert len(set(groups)) > 10
    for one, group in enumerate(groups):
        for other in range(one):
            if group != groups[other]:
                assert abs(starts[one] - starts[other]) >= 64


@pytest.mark.parametrize("kind", ["spectrogram", "recurrence", "gaf", "trace"])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_every_picture_of_any_number_of_channels(kind: str, channels: int) -> None:
    samples = np.random.default_rng(0).normal(size=(64, channels)).cumsum(axis=0)
    samples[:, 0] = 3.0  # a gauge that never moves
    picture = draw_window(samples, kind, 40)  # type: ignore[arg-type]
    assert (picture.mode, picture.size) == ("RGB", (40, 40))
    pixels = np.asarray(picture).astype(int)
    grey = bool((pixels == pixels[..., :1]).all())
    assert grey == (channels not in (2, 3) or kind == "trace")
    if channels > 1:
        assert pixels.std() > 1


def test_a_loud_window_looks_loud_only_beside_the_recording(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(size=512)
    np.save(tmp_path / "quiet_then_loud.npy", np.concatenate([samples, 10 * samples]))
    for scale in ("window", "recording"):
        draw_signals(
            SignalRequest(
                (tmp_path / "quiet_then_loud.npy",),
                tmp_path / scale,
                Drawing(window=512, size=32, scale=scale),
                step=512,
            )
        )
        quiet, loud = (
            np.asarray(Image.open(path)).mean() for path in sorted((tmp_path / scale).glob("*.png"))
        )
        assert (loud - quiet > 20) == (scale == "recording")


def test_folders_are_labels_and_equal_names_do_not_meet(tmp_path: Path) -> None:
    for label in ("dog", "bird"):
        for number in (1, 2):
            path = tmp_path / "sounds" / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            wavfile.write(path, 100, np.arange(300, dtype=np.int16))
    (tmp_path / "sounds" / "notes.txt").write_text("about these", encoding="utf-8")
    summary = draw_signals(
        SignalRequest((tmp_path / "sounds",), tmp_path / "images", SMALL, block=2)
    )
    assert summary.recordings == 4
    assert summary.images["dog"] == summary.images["bird"] > 4
    flat = draw_signals(
        SignalRequest(tuple(sorted((tmp_path / "sounds").rglob("*.wav"))), tmp_path / "flat", SMALL)
    )
    assert flat.images == {None: 4 * 15}
    assert len(list((tmp_path / "flat").glob("*.png"))) == 60


def test_labels_of_samples(tmp_path: Path) -> None:
    states = ["walk"] * 400 + ["run/jog"] * 200 + ["walk"] * 200 + ["sit"] * 100
    lines = [f"{number % 7},{state}" for number, state in enumerate(states)]
    (tmp_path / "a.csv").write_text("x,state\n" + "\n".join(lines), encoding="utf-8")
    summary = draw_signals(
        SignalRequest((tmp_path / "a.csv",), tmp_path / "images", SMALL, label_column="state")
    )
    assert set(summary.images) == {"walk", "run/jog", "sit"}
    assert {path.name for path in (tmp_path / "images").iterdir() if path.is_dir()} == {
        "walk",
        "run_jog",
        "sit",
    }


def test_the_same_again_changes_nothing_and_more_is_added(made: Path, tmp_path: Path) -> None:
    output = tmp_path / "images"
    draw_signals(ask(made, output))
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    draw_signals(ask(made, output))
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
    other = tmp_path / "later.csv"
    other.write_bytes((made / "pressure.csv").read_bytes())
    draw_signals(SignalRequest((other,), output, SMALL, events=made / "events.csv", rate=20.0))
    assert len(listing(output)) == 2 * sum(path.suffix == ".png" for path in before)


def test_other_cuts_of_a_recording_take_the_place_of_earlier_ones(
    made: Path, tmp_path: Path
) -> None:
    """Else windows of both times would share samples across groups."""
    output = tmp_path / "images"
    draw_signals(ask(made, output, step=16))
    draw_signals(ask(made, output, step=24, block=3))
    rows = listing(output)
    files = {path.relative_to(output).as_posix() for path in output.rglob("*.png")}
    assert files == {row["image"] for row in rows}
    assert len({int(row["start"]) % 24 for row in rows}) == 1


def test_a_recording_counts_once_and_has_one_label(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "in" / label).mkdir(parents=True)
    first = tmp_path / "in" / "a" / "x.npy"
    np.save(first, np.arange(200.0))
    (tmp_path / "in" / "b" / "y.npy").symlink_to(first)
    with pytest.raises(DatasetError, match="a recording has one label"):
        draw_signals(SignalRequest((tmp_path / "in",), tmp_path / "images", SMALL))
    twice = (first, tmp_path / "in" / "b" / "y.npy", first)
    assert draw_signals(SignalRequest(twice, tmp_path / "flat", SMALL)).recordings == 1


def test_names_that_are_equal_where_they_are_cut(tmp_path: Path) -> None:
    paths = tuple(tmp_path / f"{first}{'z' * 200}.npy" for first in "AB")
    hidden = tmp_path / ".hidden.npy"
    for path in (*paths, hidden):
        np.save(path, np.arange(64.0))
    output = tmp_path / "images"
    summary = draw_signals(SignalRequest((*paths, hidden), output, SMALL))
    drawn = list(output.glob("*.png"))
    assert len(drawn) == len(listing(output)) == summary.images[None] == 3
    assert not any(path.name.startswith(".") for path in drawn)


def test_channels_and_rates_are_those_of_the_folder(made: Path, tmp_path: Path) -> None:
    output = tmp_path / "images"
    draw_signals(ask(made, output))
    for name, text in (("two", "a,b\n"), ("turned", "b,a,c\n")):
        cells = text.count(",") + 1
        (tmp_path / f"{name}.csv").write_text(text + "1,2,3"[: 2 * cells - 1] + "\n" * 1 + (
            ",".join("123"[:cells]) + "\n") * 70, encoding="utf-8")  # fmt: skip
        for more in ({"like": output}, {"drawing": SMALL}):
            target = tmp_path / "later" if "like" in more else output
            with pytest.raises(DatasetError, match="show the same channels"):
                draw_signals(SignalRequest((tmp_path / f"{name}.csv",), target, **more))
    wavfile.write(tmp_path / "fast.wav", 8000, np.zeros((100, 3), np.int16))
    with pytest.raises(DatasetError, match="8000 samples a second, and others have 20"):
        draw_signals(SignalRequest((tmp_path / "fast.wav",), tmp_path / "later", like=output))
    draw_signals(SignalRequest((made / "pressure.csv",), tmp_path / "later", like=output))
    assert listing(tmp_path / "later")[1]["seconds"] != "", "the rate is taken over, too"


def test_labels_that_are_called_as_our_files(tmp_path: Path) -> None:
    lines = [
        f"{place % 5},{'windows.csv' if place < 300 else 'Signals.json'}" for place in range(600)
    ]
    (tmp_path / "a.csv").write_text("x,state\n" + "\n".join(lines), encoding="utf-8")
    summary = draw_signals(
        SignalRequest((tmp_path / "a.csv",), tmp_path / "images", SMALL, label_column="state")
    )
    assert set(summary.images) == {"windows.csv", "Signals.json"}
    assert len(list((tmp_path / "images").rglob("*.png"))) == sum(summary.images.values())


def test_images_of_an_earlier_time_are_no_recordings(made: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "p.csv").write_bytes((made / "pressure.csv").read_bytes())
    for name in ("one", "two"):
        output = source / ".." / "in" / name
        summary = draw_signals(SignalRequest((source,), output, SMALL))
        assert summary.recordings == 1


def test_a_folder_has_one_drawing(made: Path, tmp_path: Path) -> None:
    output = tmp_path / "images"
    draw_signals(ask(made, output))
    with pytest.raises(DatasetError, match="drawn alike"):
        draw_signals(ask(made, output, drawing=Drawing("gaf", window=64, size=24)))
    (tmp_path / "elsewhere").mkdir()
    twin = tmp_path / "elsewhere" / "pressure.csv"
    twin.write_bytes((made / "pressure.csv").read_bytes())
    with pytest.raises(DatasetError, match="would take the place of"):
        draw_signals(SignalRequest((twin,), output, SMALL, events=made / "events.csv", rate=20.0))
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "holiday.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match="holds other files"):
        draw_signals(ask(made, mine))
    assert [path.name for path in mine.iterdir()] == ["holiday.jpg"]


def test_like_draws_as_before(made: Path, tmp_path: Path) -> None:
    output, later = tmp_path / "images", tmp_path / "later"
    draw_signals(ask(made, output, drawing=Drawing("gaf", 64, 24, "recording", ("b", "a"))))
    paths = (made / "pressure.csv",)
    summary = draw_signals(SignalRequest(paths, later, like=output))
    assert summary.drawing == Drawing("gaf", 64, 24, "recording", ("b", "a"))
    assert summary.channels == ("b", "a")
    with pytest.raises(ConfigError, match="leave one of the two out"):
        draw_signals(SignalRequest(paths, later, Drawing("trace"), like=output))
    with pytest.raises(DatasetError, match=r"has no signals\.json"):
        draw_signals(SignalRequest(paths, later, like=made))


def test_nothing_is_written_where_something_is_wrong(made: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("x\n1\n2\n", encoding="utf-8")
    turned = tmp_path / "turned.npy"
    np.save(turned, np.zeros((3, 500)))
    output = tmp_path / "images"
    asked = [
        (SignalRequest((made / "pressure.csv", short), output, SMALL), "'.*short.csv' has 2"),
        (SignalRequest((turned,), output, SMALL), "turn it round"),
        (SignalRequest((tmp_path / "none.csv",), output, SMALL), "there is no"),
        (ask(made, output, events=made / "pressure.csv"), "a file of events has lines"),
    ]
    for request, said in asked:
        with pytest.raises(DatasetError, match=said):
            draw_signals(request)
    (tmp_path / "events.csv").write_text("other.csv,1,2,x\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="must be one of the recordings"):
        draw_signals(ask(made, output, events=tmp_path / "events.csv"))
    assert not output.exists()


def test_a_damaged_note_is_told(made: Path, tmp_path: Path) -> None:
    output = tmp_path / "images"
    draw_signals(ask(made, output))
    for text in ("[]", "{", json.dumps({"window": "wide"}), json.dumps({"windows": 3}), "\xff"):
        (output / "signals.json").write_text(text, encoding="latin-1")
        with pytest.raises(DatasetError, match="does not say how images were drawn"):
            draw_signals(ask(made, output))


@pytest.mark.parametrize(
    "more",
    [
        {"step": 0},
        {"block": 0},
        {"overlap": 0.0},
        {"overlap": 101.0},
        {"rate": -1.0},
        {"rate": float("nan")},
        {"label_column": "x"},
        {"events": None, "background": "calm"},
    ],
)
def test_settings_that_cannot_be(more: dict[str, object], made: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        ask(made, tmp_path / "images", **more)
    with pytest.raises(ConfigError):
        Drawing(window=15)
    with pytest.raises(ConfigError):
        Drawing(size=200_000)


def test_anomalies_are_found_by_the_head_of_the_paper(tmp_path: Path) -> None:
    """Made signals to images, bottlenecks, SMOTE, a dense layer with dropout, confusion matrix."""
    pytest.importorskip("imblearn")
    tool = load_tool("make_signals")
    readings, lines = tool.make(seconds=900, rate=20, every=15, seed=3)
    np.save(tmp_path / "gauges.npy", readings)
    (tmp_path / "events.csv").write_text("\n".join(lines), encoding="utf-8")
    images = tmp_path / "images"
    drawing = Drawing("recurrence", window=128, size=32)
    request = SignalRequest(
        (tmp_path / "gauges.npy",), images, drawing, events=tmp_path / "events.csv", rate=20.0
    )
    draw_signals(request)
    workspace = Workspace(tmp_path / "workspace")
    fill_cache(BottleneckRequest(images, SMALL_SPEC), workspace, load=lambda *_: FakeBackbone())
    config = TrainingConfig(
        steps=400, learning_rate=0.003, hidden=(64,), activation="relu", dropout=0.5,
        balance="smote", testing_percentage=30, optimizer="adam",
    )  # fmt: skip
    run = train_run(TrainRequest(config), workspace).run
    table = evaluate(EvalRequest(run.name), workspace).result.two_class_table("anomaly")
    assert table is not None
    right = table.tp + table.tn
    most = max(table.tp + table.fn, table.fp + table.tn)
    assert right + table.fn + table.fp > 40
    assert right > 1.15 * most, "better than to say always the same"
