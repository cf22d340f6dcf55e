"""Recordings as other programs write them, and what is wrong with some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import wavfile

from retrain_cli.errors import DatasetError
from retrain_cli.signals.events import commonest, events_of, read_events, stretches
from retrain_cli.signals.recordings import Range, Recording, read_recording


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def test_a_header_names_channels_and_time_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,left,note,right\n0,1,x,2\n0.1,3,y,4\n")
    recording = read_recording(path)
    assert recording.channels == ("left", "right")
    assert recording.samples.tolist() == [[1, 2], [3, 4]]
    chosen = read_recording(path, channels=("right", "1"))
    assert chosen.channels == ("right", "time")


@pytest.mark.parametrize(
    "text",
    ["1,2\n3,4\n", "1;2\n3;4\n", "1\t2\n3\t4\n", "\ufeff1,2\r\n3,4\r\n", '"1","2"\n"3","4"\n'],
)
def test_files_of_other_programs(text: str, tmp_path: Path) -> None:
    recording = read_recording(write(tmp_path / "a.csv", text))
    assert recording.samples.tolist() == [[1, 2], [3, 4]]
    assert recording.channels == ("1", "2")


def test_commas_in_numbers_and_windows_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Zeit;Druck\n0;1,5\n1;2,5\n", encoding="utf-16")
    assert read_recording(path, channels=("Druck",)).samples.tolist() == [[1.5], [2.5]]


@pytest.mark.parametrize(
    "name", ["Time (s)", "time_ms", "Zeit", "# time", "Timestamp", "t [s]", "date", ""]
)
def test_columns_of_times_are_no_channels(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f"{name},x,t_left,time_of_flight\n0,1,2,3\n1,2,3,4\n")
    assert read_recording(path).channels == ("x", "t_left", "time_of_flight")


def test_a_first_line_of_a_date_and_numbers_is_a_sample(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "2024-01-01,0.5,1\n2024-01-02,0.7,2\n")
    assert read_recording(path).samples.tolist() == [[0.5, 1], [0.7, 2]]
    path = write(tmp_path / "b.csv", "day,1,2\n5,0.5,1\n6,0.7,2\n")
    assert read_recording(path).channels == ("day", "1", "2")


def test_commas_of_words_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Druck, bar;state\n1,5;x, y#1\n2,5;x, y#2\n")
    recording = read_recording(path, channels=("Druck, bar",), label_column="state")
    assert recording.samples.tolist() == [[1.5], [2.5]]
    assert recording.labels is not None
    assert recording.labels.tolist() == ["x, y#1", "x, y#2"]
    tabs = write(tmp_path / "b.tsv", "a\tb\n0,5\t1\n")
    assert read_recording(tabs).samples.tolist() == [[0.5, 1]]


def test_labels_of_samples_are_runs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,state\n1,on\n2,on\n3, off\n4,off\n5,off\n6,on\n")
    labels = read_recording(path, label_column="state").labels
    assert labels is not None
    runs = stretches(labels)
    assert [tuple(run) for run in runs] == [(0, 2, "on"), (2, 5, "off"), (5, 6, "on")]
    assert commonest(runs) == "off"


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8, np.float32])
def test_wav_says_its_rate(dtype: type, tmp_path: Path) -> None:
    samples: NDArray[Any] = (np.arange(400).reshape(200, 2) % 100).astype(dtype)
    wavfile.write(tmp_path / "a.wav", 8000, samples)
    recording = read_recording(tmp_path / "a.wav", rate=1)
    assert recording.rate == 8000
    assert np.array_equal(recording.samples, samples)


def test_numpy_stays_on_the_disk(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(10))
    recording = read_recording(tmp_path / "a.npy")
    assert recording.samples.shape == (10, 1)
    assert isinstance(recording.samples.base, np.memmap)


def test_the_range_is_that_of_numpy() -> None:
    samples = 1e6 + np.random.default_rng(0).normal(size=(5_000, 2))
    spread = Range.of(samples)
    assert np.allclose(spread.mean, samples.mean(axis=0))
    assert np.allclose(spread.deviation, samples.std(axis=0))
    assert np.array_equal(spread.lowest, samples.min(axis=0))
    assert np.array_equal(spread.highest, samples.max(axis=0))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "x\n1\nnan\n", "nan at sample 1 of channel x"),
        ("a.csv", "x,y\n1,2\n3,\n", "sample 1 of channel y is nothing in place of a number"),
        ("a.csv", "x,y\n1,2\n3\n", "sample 1 of channel y is nothing in place of a number"),
        ("a.csv", "x,y\n1,2\n3,?\n", r"sample 1 of channel y is '\?' in place of a number"),
        ("a.csv", "x\n1\n3e307\n", "3e.307 at sample 1 of channel x"),
        ("a.csv", "x\nword\n", "none of its columns is a channel"),
        ("a.csv", "x\n", "no line of samples"),
        ("a.csv", "", "no line of samples"),
        ("a.npy", "no array", "cannot be read as a signal"),
        ("a.wav", "RIFFno wave", "cannot be read as a signal"),
        ("a.mp3", "", "a signal is one of .csv"),
    ],
)
def test_bad_recordings_are_told(name: str, text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=said) as error:
        read_recording(write(tmp_path / name, text))
    assert "\n" not in str(error.value)
    assert name in str(error.value)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1 + 1j]]),
        np.zeros((2, 2, 2)),
        np.zeros(0),
        np.array(["a"]),
        np.array([1.0, np.inf]),
    ],
    ids=["complex", "3-d", "empty", "text", "infinite"],
)
def test_bad_arrays_are_told(array: NDArray[Any], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DatasetError):
        read_recording(tmp_path / "a.npy")


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([print], object), allow_pickle=True)
    with pytest.raises(DatasetError, match="cannot be read as a signal"):
        read_recording(tmp_path / "a.npy")


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "left,right\n1,2\n")
    with pytest.raises(DatasetError, match="no column 'up': it has left, right"):
        read_recording(path, channels=("up",))
    with pytest.raises(DatasetError, match="no column 'state'"):
        read_recording(path, label_column="state")


def made(samples: int, rate: float | None, path: str = "a.csv") -> Recording:
    return Recording(Path(path), np.zeros((samples, 1)), ("x",), rate)


def test_events_are_in_seconds_where_the_rate_is_known(tmp_path: Path) -> None:
    listed = read_events(write(tmp_path / "e.csv", "start,end,label\n0.5,1,leak\n1.5,99,\n"))
    assert [tuple(event) for event in events_of(made(200, 100.0), listed)] == [
        (50, 100, "leak"),
        (150, 200, "event"),
    ]
    with pytest.raises(DatasetError, match=r"line 3 begins at 1\.5 s.*ends at 1 s"):
        events_of(made(100, 100.0), listed)


def test_an_event_may_end_far_behind_the_recording(tmp_path: Path) -> None:
    listed = read_events(write(tmp_path / "e.csv", "0,1e305,x\n"))
    assert [tuple(event) for event in events_of(made(10, 1e10), listed)] == [(0, 10, "x")]


@pytest.mark.parametrize("text", ["1;2;x\n", "1\t2\tx\n", "start;end;label\n1;2;x\n"])
def test_events_of_other_programs(text: str, tmp_path: Path) -> None:
    listed = read_events(write(tmp_path / "e.csv", text))
    assert [(event.start, event.end, event.label) for event in listed] == [(1, 2, "x")]


def test_events_of_several_recordings(tmp_path: Path) -> None:
    listed = read_events(write(tmp_path / "e.csv", "a.csv,1,2,x\nb,3,4,y\n"))
    assert [event.label for event in events_of(made(10, None, "in/a.csv"), listed)] == ["x"]
    assert [event.label for event in events_of(made(10, None, "in/b.npy"), listed)] == ["y"]


@pytest.mark.parametrize(
    "text", ["start,end\n2,1\n", "1\n", "a,b,c\n", "-1,2,x\n", "nan,2,x\n", "start,end\n", ""]
)
def test_bad_events_are_told(text: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="a file of events has lines"):
        read_events(write(tmp_path / "e.csv", text))
