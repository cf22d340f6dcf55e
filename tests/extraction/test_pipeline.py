"""The pipeline computes each distinct image once, keeps finished batches, bounds its memory."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import LIMIT, FakeBackbone
from PIL import Image

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.file_index import FileRecord
from retrain_cli.errors import ConfigError, ImageError
from retrain_cli.extraction import batcher
from retrain_cli.extraction.batcher import Batch
from retrain_cli.extraction.forward import padded_rows, run_padded
from retrain_cli.extraction.pipeline import ExtractionSettings, Extractor
from retrain_cli.extraction.progress import ExtractionCounts
from retrain_cli.extraction.readers import ThreadReaders
from retrain_cli.extraction.scan import PendingFile
from retrain_cli.images.decode import decode_image
from retrain_cli.images.examine import Examined, content_digest
from retrain_cli.parallel import bounded_map


class MemorySink:
    """Keeps what a cache would."""

    def __init__(self, fails_after: int | None = None) -> None:
        self.vectors: dict[bytes, np.ndarray] = {}
        self.records: dict[str, FileRecord] = {}
        self._left = fails_after

    def present(self, digests: Any) -> set[bytes]:
        return self.vectors.keys() & set(digests)

    def write(self, batch: Batch[PendingFile]) -> None:
        if batch.vectors is not None:
            if self._left == 0:
                raise OSError("no space")
            self._left = self._left and self._left - 1
            self.vectors.update(zip(batch.digests, batch.vectors, strict=True))
        for file, seen in batch.photos:
            self.records[file.relative] = file.learnt(seen)[2]


def pending_below(root: Path) -> list[PendingFile]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return [
        PendingFile(str(path.parent.relative_to(root)), path.name, path.stat().st_size, 0)
        for path in files
    ]


def decode(data: bytes) -> np.ndarray:
    return decode_image(data, (32, 32))


def run(root: Path, sink: Any, backbone: Any, *, strict: bool = False, **settings: Any) -> Any:
    chosen = ExtractionSettings(**settings)
    counts = ExtractionCounts(total=0)

    def on_photo(file: PendingFile, seen: Examined) -> None:
        if seen.problem:
            counts.take_bad(file.relative, seen.problem, strict)

    extractor = Extractor(
        backbone,
        lambda photos: ThreadReaders(decode, None, chosen.reader_count),
        chosen.batch_size,
    )
    extractor.fill(
        pending_below(root),
        lambda file: str(root / file.relative),
        sink,
        on_photo,
        lambda batch: counts.take_written(len(batch.photos), len(batch.usable), len(batch.digests)),
    )
    return counts


@pytest.mark.parametrize("batch_size", [1, 5, 36, 100])
def test_vectors_do_not_depend_on_the_batch(
    photos: Path, fake_backbone: FakeBackbone, batch_size: int
) -> None:
    sink = MemorySink()
    counts = run(photos, sink, fake_backbone, batch_size=batch_size, workers=3)
    assert (counts.computed, counts.cached, counts.bad) == (36, 0, [])
    for path in photos.rglob("*.png"):
        expected = fake_backbone(decode(path.read_bytes())[None])[0]
        np.testing.assert_allclose(sink.vectors[content_digest(path.read_bytes())], expected)
    assert len(sink.records) == 36


def test_a_duplicate_is_computed_once_in_one_batch_or_far_apart(
    photos: Path, fake_backbone: FakeBackbone
) -> None:
    original = (photos / "ant" / "0000.png").read_bytes()
    for place in ("ant/0000b.png", "teapot/9999.png"):
        (photos / place).write_bytes(original)
    sink = MemorySink()
    counts = run(photos, sink, fake_backbone, batch_size=4)
    assert (counts.computed, counts.cached) == (36, 2)


def test_bad_files_are_skipped_with_their_reason(photos: Path, fake_backbone: FakeBackbone) -> None:
    (photos / "ant" / "empty.jpg").touch()
    (photos / "bee" / "text.jpg").write_text("no photo")
    (photos / "bee" / "note.txt").write_text("not meant as one")
    cut = (photos / "bee" / "0001.png").read_bytes()
    (photos / "bee" / "0001.png").write_bytes(cut[:-200])
    counts = run(photos, MemorySink(), fake_backbone)
    assert {path for path, _ in counts.bad} == {"ant/empty.jpg", "bee/text.jpg", "bee/0001.png"}
    assert dict(counts.bad)["ant/empty.jpg"] == "0 bytes"
    assert counts.computed == 35


def test_strict_stops_at_the_first_bad_file_and_keeps_finished_batches(
    photos: Path, fake_backbone: FakeBackbone
) -> None:
    (photos / "teapot" / "zzz.jpg").touch()
    sink = MemorySink()
    with pytest.raises(ImageError, match=r"teapot/zzz\.jpg: 0 bytes"):
        run(photos, sink, fake_backbone, batch_size=8, strict=True)
    assert len(sink.vectors) == 32


def test_a_failing_write_ends_the_run_and_earlier_batches_stay(
    photos: Path, fake_backbone: FakeBackbone
) -> None:
    sink = MemorySink(fails_after=2)
    with pytest.raises(OSError, match="no space"):
        run(photos, sink, fake_backbone, batch_size=6)
    assert len(sink.vectors) == 12


def test_an_interrupt_keeps_finished_batches(photos: Path) -> None:
    class Interrupted(FakeBackbone):
        def __call__(self, images: Any) -> Any:
            if self.images_seen >= 16:
                raise KeyboardInterrupt
            return super().__call__(images)

    sink = MemorySink()
    with pytest.raises(KeyboardInterrupt):
        run(photos, sink, Interrupted(), batch_size=8)
    assert len(sink.vectors) == 16


def test_look_ahead_is_bounded() -> None:
    from concurrent.futures import ThreadPoolExecutor

    under_way, most, lock = 0, 0, threading.Lock()

    def items() -> Any:
        nonlocal under_way, most
        for number in range(500):
            with lock:
                under_way += 1
                most = max(most, under_way)
            yield number

    with ThreadPoolExecutor(4) as pool:
        for item, result in bounded_map(pool, lambda x: x * 2, items(), ahead=10):
            assert result == 2 * item
            with lock:
                under_way -= 1
    assert most <= 11


def test_padding_adds_rows_and_takes_them_away(fake_backbone: FakeBackbone) -> None:
    images = [np.full((32, 32, 3), value, np.uint8) for value in (3, 99, 200)]
    assert padded_rows(3) == 4
    padded = run_padded(fake_backbone, images, 4)
    assert fake_backbone.images_seen == 4
    np.testing.assert_array_equal(padded, fake_backbone(np.stack(images)))


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"workers": 0}])
def test_settings_that_cannot_work(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        ExtractionSettings(**wrong)


def test_photos_of_different_sizes_and_modes(tmp_path: Path, fake_backbone: FakeBackbone) -> None:
    for name, mode in (("a.png", "L"), ("b.png", "RGBA"), ("c.jpg", "CMYK")):
        folder = tmp_path / "x"
        folder.mkdir(exist_ok=True)
        Image.new(mode, (31, 57)).save(folder / name)
    counts = run(tmp_path, MemorySink(), fake_backbone)
    assert counts.computed == 3


class TwoAtOnce:
    """A forward pass that counts how many of its calls run side by side."""

    any_batch_size = False
    batches_at_once = 2

    def __init__(self, backbone: Any) -> None:
        self._backbone, self._lock = backbone, threading.Lock()
        self._two = threading.Barrier(2, timeout=LIMIT)
        self.running = self.most = self.calls = 0

    def __call__(self, images: Any) -> Any:
        with self._lock:
            self.calls += 1
            call = self.calls
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            if call in (2, 3):  # the first one loads the backbone
                self._two.wait()  # one alone would wait in vain
            return self._backbone(images)
        finally:
            with self._lock:
                self.running -= 1


def test_batches_run_side_by_side_where_the_forward_pass_allows(
    photos: Path, fake_backbone: FakeBackbone
) -> None:
    alone, beside = MemorySink(), MemorySink()
    run(photos, alone, fake_backbone, batch_size=5)
    forward = TwoAtOnce(fake_backbone)
    counts = run(photos, beside, forward, batch_size=5)
    assert (forward.most, counts.computed) == (2, 36)
    assert alone.vectors.keys() == beside.vectors.keys()
    for digest, vector in alone.vectors.items():
        np.testing.assert_array_equal(beside.vectors[digest], vector)


def test_a_duplicate_of_what_is_in_the_forward_pass_is_computed_once(
    photos: Path, fake_backbone: FakeBackbone
) -> None:
    for number in range(10):
        copy = (photos / "ant" / f"{number:04}.png").read_bytes()
        (photos / "ant" / f"{number:04}b.png").write_bytes(copy)
    counts = run(photos, MemorySink(), TwoAtOnce(fake_backbone), batch_size=1)
    assert (counts.computed, counts.cached) == (36, 10)


def test_a_file_is_remembered_with_or_after_its_vector(
    photos: Path, fake_backbone: FakeBackbone
) -> None:
    class Watching(MemorySink):
        def write(self, batch: Batch[PendingFile]) -> None:
            super().write(batch)
            assert {record.digest for record in self.records.values()} <= self.vectors.keys()

    sink = Watching()
    run(photos, sink, TwoAtOnce(fake_backbone), batch_size=4)
    assert len(sink.records) == 36


def test_a_fault_while_batches_run_keeps_those_that_finish(
    photos: Path, fake_backbone: FakeBackbone
) -> None:
    (photos / "teapot" / "zzz.jpg").touch()
    sink = MemorySink()
    with pytest.raises(ImageError, match=r"teapot/zzz\.jpg: 0 bytes"):
        run(photos, sink, TwoAtOnce(fake_backbone), batch_size=4, strict=True)
    assert len(sink.vectors) == 36


def test_after_a_fault_no_file_is_remembered_whose_vector_is_not_kept(photos: Path) -> None:
    (photos / "ant" / "note.txt").write_text("not meant as a photo")
    (photos / "teapot" / "zzz.jpg").touch()
    sink = MemorySink()
    with pytest.raises(ImageError, match="zzz"):
        run(photos, sink, FakeBackbone(), batch_size=100, strict=True)
    assert (set(sink.records), sink.vectors) == ({"ant/note.txt"}, {})


def test_many_copies_of_one_photo_do_not_wait_for_a_full_batch(
    photos: Path, fake_backbone: FakeBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "_MOST_COPIES", 10)
    written: list[int] = []

    class Watching(MemorySink):
        def write(self, batch: Batch[PendingFile]) -> None:
            super().write(batch)
            written.append(len(batch.photos))

    for number in range(50):
        copy = (photos / "ant" / "0000.png").read_bytes()
        (photos / "ant" / f"0000_{number:03}.png").write_bytes(copy)
    counts = run(photos, Watching(), fake_backbone, batch_size=4)
    assert (counts.computed, counts.cached, counts.done) == (36, 50, 86)
    assert max(written) <= 14


def answered(photos: list[Path], forward: Any, size: int = 4, kept: Any = None) -> Any:
    extractor = Extractor(forward, lambda count: ThreadReaders(decode, kept, 2), size)
    return extractor.answer(photos, str)


def test_answers_come_in_order_and_each_batch_is_complete(
    photos: Path, fake_backbone: FakeBackbone, tmp_path: Path
) -> None:
    paths = sorted(photos.rglob("*.png"))
    paths[5] = photos / "ant" / "gone.png"
    with BottleneckStore(tmp_path / "cache.sqlite", {"name": "test"}) as store:
        known = [content_digest(path.read_bytes()) for path in paths[12:24]]
        store.put(known, np.zeros((12, 32), np.float32))
        batches = list(answered(paths, TwoAtOnce(fake_backbone), kept=store))
    assert [path for batch in batches for path, _ in batch.photos] == paths
    assert {len(batch.photos) for batch in batches} == {4}
    assert [len(batch.digests) for batch in batches] == [4, 3, 4, 0, 0, 0, 4, 4, 4]
    for batch in batches:
        for digest, vector in zip(
            batch.digests, batch.vectors if batch.digests else (), strict=True
        ):
            path = next(p for p, seen in batch.photos if seen.digest == digest)
            expected = fake_backbone(decode(path.read_bytes())[None])[0]
            np.testing.assert_allclose(vector, expected)


def test_answers_that_nobody_takes_any_more_end_the_readers(
    photos: Path, fake_backbone: FakeBackbone
) -> None:
    batches = answered(sorted(photos.rglob("*.png")), fake_backbone)
    next(batches)
    batches.close()
    names = {thread.name.split("_")[0] for thread in threading.enumerate()}
    assert not names & {"reader", "forward"}
