"""Photos through a Ray cluster: decoded by its processors, computed by actors, kept here.

    tables of places -> decode_rows -> ForwardStage -> parts on a shared disk -> the sink, here
                        (tasks)        (actors)     -> vectors, in order      -> the answer

It stands in for `Extractor`, and gives the same vectors.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrain_cli import waiting
from retrain_cli.backbones.loader import LazyBackbone
from retrain_cli.cache.vector_parts import PartRow, VectorPart
from retrain_cli.errors import setting
from retrain_cli.extraction.batcher import Batch
from retrain_cli.extraction.distributed.cluster_settings import ClusterSettings, EngineError
from retrain_cli.extraction.distributed.pools import Pools, size_pools
from retrain_cli.extraction.distributed.ray_session import connected_ray
from retrain_cli.extraction.distributed.ray_stages import (
    DecodeJob,
    ForwardJob,
    ForwardStage,
    decode_rows,
    short_digests,
)
from retrain_cli.extraction.distributed.watching_results import watched
from retrain_cli.extraction.reading import Locate
from retrain_cli.extraction.writing import Sink
from retrain_cli.images.examine import Examined
from retrain_cli.workspace import writing_to

PhotoT = TypeVar("PhotoT")

_BATCHES_A_PART = 8
_RETRIES = 3  # of a block of photos whose worker dies
_AT_ONCE = 100_000
"""Photos that one run of the cluster answers; a list that comes slowly waits for so many."""


@dataclass(frozen=True)
class RayExtractor:
    """Photos in, vectors out, by a cluster.

    Attributes:
        settings: which cluster.
        job: the forward pass.
        decode: how to decode.
        cached: digests of images that need no forward pass.
    """

    settings: ClusterSettings
    job: ForwardJob
    decode: DecodeJob
    cached: Sequence[bytes] = ()

    def fill(
        self,
        photos: Sequence[PhotoT],
        locate: Locate[PhotoT],
        describe: Callable[[PhotoT], PartRow],
        sink: Sink[PhotoT],
        on_photo: Callable[[PhotoT, Examined], None],
        on_written: Callable[[Batch[PhotoT]], None] = lambda batch: None,
    ) -> None:
        """As `Extractor.fill`: parts are kept as they come, each photo once.

        Args:
            photos: the photos.
            locate: where one of them is; on the workers, too.
            describe: what a part is to say of one of them.
            sink: takes the vectors.
            on_photo: is told what each photo holds, as it is known.
            on_written: is told of each batch that the sink has taken.

        Raises:
            EngineError: the cluster cannot be used, or does not get on.
            RetrainError: as of a worker.
        """
        assert self.job.parts is not None
        with writing_to(self.job.parts):
            self.job.parts.mkdir(parents=True, exist_ok=True)
        left = {(row.folder, row.name): photo for photo in photos for row in [describe(photo)]}
        rows = ((locate(photo), describe(photo)) for photo in photos)
        with closing(self._results(rows, len(photos), in_order=False)) as results:
            for result in results:
                for name in result["part"]:
                    batch = self._taken(self.job.parts / str(name), left)
                    for photo, seen in batch.photos:
                        on_photo(photo, seen)
                    sink.write(batch)
                    on_written(batch)
                    (self.job.parts / str(name)).unlink()

    def _taken(self, path: Path, left: dict[tuple[str, str], PhotoT]) -> Batch[PhotoT]:
        """What a part holds of the photos that are left; they are not left any more."""
        if not path.is_file():
            raise EngineError(
                f"workers write what they computed where this machine sees it, and {path.name} "
                f"that one has written is not in {path.parent}: name a folder on a disk that all "
                f"share with {setting('parts', 'FOLDER')}"
            )
        seen: list[tuple[PhotoT, Examined]] = []
        vectors: dict[bytes, NDArray[np.floating]] = {}
        with closing(VectorPart(path)) as part:
            for row in part.rows():
                photo = left.pop((row.folder, row.name), None)
                if photo is not None:
                    seen.append((photo, Examined(row.digest, row.problem)))
                if row.digest is not None and row.vector is not None:
                    vectors.setdefault(row.digest, row.vector)
        return _batch_of(seen, vectors)

    def answer(
        self, photos: Iterable[PhotoT], locate: Locate[PhotoT]
    ) -> Generator[Batch[PhotoT], None, None]:
        """As `Extractor.answer`: every photo in its order, nothing is kept."""
        rest = iter(photos)
        while some := list(islice(rest, _AT_ONCE)):
            rows = ((locate(photo), None) for photo in some)
            with closing(self._results(rows, len(some), in_order=True)) as results:
                for result in results:
                    yield _as_batch(some, result)

    def _results(
        self, rows: Iterable[tuple[Any, Any]], count: int, *, in_order: bool
    ) -> Generator[dict[str, Any], None, None]:
        """What comes out of the cluster, batch by batch."""
        with connected_ray(self.settings) as ray:
            pools = self._pools(ray)
            done = _Done(count)
            plan = _Plan(self, list(_tables(rows, self._rows_a_part(ray, count))), pools, in_order)
            results = _from_afar(ray, plan) if self.settings.is_client else plan.results()
            give_up = partial(_stalled, ray, self.settings, done)
            seconds = 60 * self.settings.engine_timeout
            came = watched(results, seconds, give_up)
            with waiting.for_("starting the workers"):
                first = list(islice(came, 1))
            for result in chain(first, came):
                done.batches += 1
                yield result

    def _pools(self, ray: Any) -> Pools:
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        on_gpu = self.job.device != "cpu" and self.job.spec.runtime != "openvino"
        gpus = int(sum(node.get("GPU", 0) for node in alive)) if on_gpu else 0
        return size_pools([node.get("CPU", 0) for node in alive], gpus)

    def _rows_a_part(self, ray: Any, count: int) -> int:
        """Photos of a part: few enough for all to have work, many enough for few files."""
        shares = max(1, int(2 * ray.cluster_resources().get("CPU", 1)))
        size = self.job.batch_size
        return max(size, min(_BATCHES_A_PART * size, count // shares))


@dataclass(frozen=True)
class _Plan:
    """A run of the cluster, to be carried out by whoever is a part of it.

    Attributes:
        extractor: what is done.
        tables: the photos.
        pools: who does it.
        in_order: whether the results come in the order of the photos.
    """

    extractor: RayExtractor
    tables: list[Any]
    pools: Pools
    in_order: bool

    def results(self) -> Iterator[dict[str, Any]]:
        """What comes out, batch by batch."""
        ray: Any = import_module("ray")
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = self.in_order
        context.enable_progress_bars = False
        decode, pools = self.extractor.decode, self.pools
        if len(self.extractor.cached):
            decode = replace(decode, cached=ray.put(short_digests(self.extractor.cached)))
        strategy = ray.data.ActorPoolStrategy(min_size=1, max_size=pools.actors)
        return iter(
            ray.data.from_arrow(self.tables)
            .map_batches(
                decode_rows,
                fn_kwargs={"job": decode},
                batch_size=None,
                num_cpus=pools.decoder_cpus,
                max_retries=_RETRIES,  # other options than the actors', which would decode else
            )
            .map_batches(
                ForwardStage,
                fn_constructor_kwargs={"job": self.extractor.job},
                batch_size=None,
                compute=strategy,
                num_cpus=pools.actor_cpus,
                num_gpus=pools.actor_gpus,
            )
            .iter_batches(batch_size=None)
        )


class _RemoteRun:
    """An actor that carries out a plan: Ray Data does not work through Ray's client."""

    def __init__(self, plan: _Plan) -> None:
        self._results = plan.results()

    def next(self) -> dict[str, Any] | None:
        """The next result; None after the last."""
        return next(self._results, None)


def _from_afar(ray: Any, plan: _Plan) -> Iterator[dict[str, Any]]:
    """The results of a plan that an actor of the cluster carries out."""
    run = ray.remote(num_cpus=0)(_RemoteRun).remote(plan)
    while (result := ray.get(run.next.remote())) is not None:
        yield result


@dataclass
class _Done:
    """How far it is.

    Attributes:
        photos: how many there are.
        batches: that came back.
    """

    photos: int
    batches: int = 0


def ray_extractor(
    settings: ClusterSettings,
    backbone: LazyBackbone,
    job: ForwardJob,
    photo_timeout: float,
    cached: Sequence[bytes] = (),
) -> RayExtractor:
    """The extractor of a backbone.

    Args:
        settings: which cluster.
        backbone: the same backbone here; it is loaded where its input size is not known without.
        job: the forward pass.
        photo_timeout: as of `ExtractionSettings`.
        cached: digests of images that need no forward pass.
    """
    decode = DecodeJob(backbone.input_size, job.spec.resize_rule, photo_timeout)
    return RayExtractor(settings, job, decode, cached)


def _tables(rows: Iterable[tuple[Any, Any]], size: int) -> Iterator[Any]:
    """Tables of so many rows: place, location and what is known of the file."""
    import pyarrow as pa

    rest, place = iter(rows), 0
    while some := list(islice(rest, size)):
        yield pa.table(
            {
                "place": pa.array(range(place, place + len(some)), pa.int64()),
                "location": pa.array([pickle.dumps(location) for location, _ in some], pa.binary()),
                "about": pa.array([pickle.dumps(about) for _, about in some], pa.binary()),
            }
        )
        place += len(some)


def _as_batch(photos: Sequence[PhotoT], result: dict[str, Any]) -> Batch[PhotoT]:
    """The rows that came back as a batch; copies of an image once."""
    seen: list[tuple[PhotoT, Examined]] = []
    vectors: dict[bytes, NDArray[np.floating]] = {}
    names = ("place", "digest", "problem", "has_pixels", "vector")
    for place, digest, problem, has_vector, vector in zip(*(result[n] for n in names), strict=True):
        seen.append((photos[int(place)], Examined(bytes(digest) or None, str(problem) or None)))
        if has_vector:
            vectors.setdefault(bytes(digest), np.asarray(vector, np.float32))
    return _batch_of(seen, vectors)


def _batch_of(
    seen: list[tuple[PhotoT, Examined]], vectors: dict[bytes, NDArray[np.floating]]
) -> Batch[PhotoT]:
    stacked = np.stack(list(vectors.values())).astype(np.float32) if vectors else None
    return Batch(seen, list(vectors), stacked)


def _stalled(ray: Any, settings: ClusterSettings, done: _Done) -> EngineError:
    """What is to be told of a cluster that does not get on."""
    nodes = ray.nodes()
    alive = sum(node["Alive"] for node in nodes)
    wanted, free = ray.cluster_resources(), ray.available_resources()
    return EngineError(
        f"nothing came back from Ray for {settings.engine_timeout:g} minutes, after "
        f"{done.batches:,} parts of {done.photos:,} photos: {alive} of {len(nodes)} machines are "
        f"alive, with {free.get('CPU', 0):g} of {wanted.get('CPU', 0):g} processors and "
        f"{free.get('GPU', 0):g} of {wanted.get('GPU', 0):g} GPUs free; what came is kept: look at "
        f"`ray status`, and run the same command again, or with a longer "
        f"{setting('engine_timeout')}"
    )
