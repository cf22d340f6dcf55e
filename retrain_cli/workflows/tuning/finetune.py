"""`retrain finetune`: a head on bottlenecks first, then it and the backbone's top together."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain_cli import interrupts, waiting
from retrain_cli.backbones.loader import BackboneLoader, loader_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.mapped import aligned_matrix, mapped_matrix
from retrain_cli.datasets.sources.photo_source import source_of
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.engine import quiet_engine
from retrain_cli.errors import RunError, setting
from retrain_cli.evaluation.predictions import predict
from retrain_cli.finetuning.activation_cache import PhotoFile
from retrain_cli.finetuning.batch_sources import BatchSource
from retrain_cli.finetuning.epoch_state import EpochState, StateFile
from retrain_cli.finetuning.parts import Parts, TunedPhotos, open_source
from retrain_cli.finetuning.phase_heads import first_head, last_head
from retrain_cli.finetuning.tuned_network import TunedNetwork
from retrain_cli.finetuning.tuning import (
    Tuning,
    TuningListener,
    TuningProgress,
    TuningResult,
    vectors_of,
)
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.history import TrainedHead
from retrain_cli.heads.memory import fits
from retrain_cli.heads.training import train_head
from retrain_cli.heads.validation import with_fitted_scores
from retrain_cli.notebook.bars import Done, NotebookBar
from retrain_cli.runs.info import RunInfo
from retrain_cli.runs.making import Tuned
from retrain_cli.runs.provenance import ImageCounts, Provenance
from retrain_cli.runs.run import Run, RunContents, RunStore, write_note
from retrain_cli.runs.shell import shell_line
from retrain_cli.workflows.shared.run_facts import current_versions, metrics_by_split, result_of
from retrain_cli.workflows.shared.training_set import TrainingSet, load_training_set
from retrain_cli.workflows.tuning.finetune_request import FinetuneRequest
from retrain_cli.workflows.tuning.finetune_summary import JUDGED, FinetuneSummary
from retrain_cli.workflows.tuning.own_backbone import KeptBackbone, keep_backbone
from retrain_cli.workflows.tuning.starting_weights import StartingWeights, digests_seen, fill_from
from retrain_cli.workspace import Workspace

PhotoListener = Callable[[str, int, int], None]

_BAR: NotebookBar[TuningProgress] = NotebookBar(
    "fine-tuning",
    lambda made: Done(
        (made.epoch - 1) * made.steps + made.step,
        made.epochs * made.steps,
        f"epoch {made.epoch} of {made.epochs}",
    ),
)
"""Is told of a stage, how many photos of it are done, and how many there are."""


_PHOTO_BAR: NotebookBar[Done] = NotebookBar("fine-tuning", lambda step: step)


def _show_photo(stage: str, done: int, total: int) -> None:
    _PHOTO_BAR(Done(done, total, stage))


def finetune(
    request: FinetuneRequest,
    workspace: Workspace,
    on_photo: PhotoListener = _show_photo,
    on_progress: TuningListener = _BAR,
    on_warning: Callable[[str], None] = lambda warning: None,
    load: BackboneLoader | None = None,
) -> FinetuneSummary:
    """Fine-tune the backbone last used on the dataset last used, and keep the result as a run.

    The head alone stays where no epoch is better on validation. Ctrl-C ends training early and
    keeps the best epoch; after a kill `request.resume` goes on behind the last epoch that ended.

    Args:
        request: what to do.
        workspace: with the bottlenecks of the dataset.
        on_photo: is told of each photo that goes through the frozen part or the tuned network.
        on_progress: is told of steps and epochs.
        on_warning: is told of what needs attention.
        load: how to load the frozen part; None for the usual way.

    Raises:
        RetrainError: no bottlenecks, a network that cannot be cut there, no room on the disk.
        KeyboardInterrupt: Ctrl-C came before the first epoch was done; activations are kept.
    """
    clock, store = _Clock(), RunStore(workspace.runs_dir)
    store.check_new(request.name)
    if request.start != StartingWeights():
        on_bottleneck = partial(on_photo, "bottlenecks")
        fill_from(request.start, workspace, request.settings, on_bottleneck, load)
        clock.lap("bottlenecks")
    session = FinetuneSession.open(request, workspace)
    session.tell_what_flatters(on_warning)
    with ExitStack() as stack:
        draft = stack.enter_context(store.create(request.name))
        clock.lap("loading")
        source = stack.enter_context(session.source(load or loader_of(workspace), on_photo))
        clock.lap("frozen part")
        stack.enter_context(interrupts.held())
        tuned = session.train(source, clock, on_progress, on_warning)
        bottlenecks = session.bottlenecks(tuned, source, on_photo)
        clock.lap("tuned network")
        contents = session.contents(draft.folder, tuned, bottlenecks)
        write_note(draft.folder, request.note)
        run = draft.commit(contents)
        session.settle(tuned.result)
        clock.lap("run")
        interrupted_by = interrupts.taken()
    return session.summary(run, contents, tuned, clock.seconds, interrupted_by)


NO_GUARD = (
    "without validation photos the last epoch is kept, whether it is better than the head alone or "
    "not"
)


@dataclass(frozen=True, eq=False)
class _Phases:
    """What both phases gave: the head alone, and the network as it was after the best epoch."""

    before: TrainedHead
    network: TunedNetwork
    result: TuningResult


@dataclass(frozen=True, eq=False)
class FinetuneSession:
    """One fine-tuning of a workspace: everything that its stages share."""

    request: FinetuneRequest
    workspace: Workspace
    parent: Run | None
    training_set: TrainingSet
    parts: Parts

    @classmethod
    def open(
        cls, request: FinetuneRequest, workspace: Workspace, backbone: BackboneSpec | None = None
    ) -> FinetuneSession:
        """Read the dataset, split it, build and cut the network.

        Args:
            request: what to do.
            workspace: with the bottlenecks.
            backbone: what to cut; None for the one that they are of.

        Raises:
            RetrainError: as `finetune`.
        """
        store = RunStore(workspace.runs_dir)
        parent = None if request.from_run is None else store.get(request.from_run)
        if parent is not None and not parent.config.is_one_layer:
            raise RunError(
                f"fine-tuning trains one softmax layer with the network, and the head of "
                f"{parent.name} is of another make: train a run without {setting('hidden')}, "
                f"{setting('head', 'cosine')} and {setting('normalise', 'l2')}"
            )
        found = load_training_set(workspace, request.head_config(parent))
        # Validation photos guard against a worse network, so none of them trains.
        found = replace(found, data=found.data.without_spare())
        if parent is not None and parent.info.cache != found.used.fingerprint:
            raise _of_another_backbone(parent)
        spec = backbone or found.used.backbone
        with waiting.for_(f"loading {spec.name}"):
            parts = Parts.build(spec, request.tuning, request.settings.device)
        return cls(request, workspace, parent, found, parts)

    @property
    def data(self) -> HeadData:
        """Bottlenecks of the backbone as it was."""
        return self.training_set.data

    @property
    def photos(self) -> TunedPhotos:
        """The photos of the dataset, and which train."""
        images = self.training_set.images
        source = source_of(self.training_set.used.image_dir)
        files = [
            PhotoFile(source.locate(path), digest.tobytes())
            for path, digest in zip(images.paths, images.digest, strict=True)
        ]
        return TunedPhotos(files, self.data.training)

    @property
    def state(self) -> StateFile:
        """Keeps where this training stands, and no other one."""
        training_set = self.training_set
        rows = hashlib.blake2b(digest_size=16)
        for array in (training_set.images.digest, self.data.labels, self.data.training):
            rows.update(np.ascontiguousarray(array).tobytes())
        facts = {
            "tuning": self.request.tuning.to_dict(),
            "head": self.request.head_config(self.parent).to_dict(),
            "from": self.request.from_run and self.parent and self.parent.name,
            "backbone": training_set.used.fingerprint,
            "photos": rows.hexdigest(),
        }
        return StateFile(self.workspace.tunings_dir, facts)

    def tell_what_flatters(self, on_warning: Callable[[str], None]) -> None:
        """Warn without a guard, and where `init_from` has learned photos that are asked about."""
        if not len(self.data.validation):
            on_warning(NO_GUARD)
        if self.request.init_from is None:
            return
        run = RunStore(self.workspace.runs_dir).get(self.request.init_from)
        seen, images = digests_seen(run), self.training_set.images
        asked = images.digest[images.split != SPLITS.index("training")]
        if count := sum(one.tobytes() in seen for one in asked):
            on_warning(
                f"the weights of {run.name} were trained on, or chosen by, {count:,} of the "
                f"{len(asked):,} photos of validation and test, whose figures flatter the new run"
            )

    def source(
        self, load: BackboneLoader, on_photo: PhotoListener
    ) -> AbstractContextManager[BatchSource]:
        """The numbers that go into the part that is trained."""
        return open_source(
            self.parts,
            self.photos,
            self.workspace,
            self.request.settings,
            load,
            partial(on_photo, "frozen part"),
        )

    def train(
        self,
        source: BatchSource,
        clock: _Clock,
        on_progress: TuningListener,
        on_warning: Callable[[str], None],
    ) -> _Phases:
        """The head, then both together."""
        before = self._head()
        start = first_head(self.data, self.request.tuning.seed)
        clock.lap("head")
        parts, tuning = self.parts, self.request.tuning
        network = TunedNetwork(parts.network, parts.spec, parts.point, start, tuning)
        state = self.state
        fresh = parts.streams
        phase = Tuning(network, source, self.data, tuning, state, on_progress, fresh=fresh)
        with quiet_engine():
            result = phase.run(before.head, self._resumed(state, on_warning))
        clock.lap("training")
        return _Phases(before, network, result)

    def _head(self) -> TrainedHead:
        """The head alone."""
        if self.parent is None:
            trained = train_head(self.data, self.request.head_config(None))
            if trained.stopped_by == "interrupt":
                raise interrupts.interruption()
            return trained
        head = self.parent.trained_head.extended_to(self.data.class_names)
        return TrainedHead(head, (), 0, "steps", self.parent.provenance.fit)

    def _resumed(self, state: StateFile, on_warning: Callable[[str], None]) -> EpochState | None:
        try:
            found = state.load()
        except RunError:
            if self.request.resume:
                raise
            found = None  # what begins anew needs nothing of a damaged file
        if self.request.resume and found is None:
            on_warning("no fine-tuning of these settings was cut short, so it begins anew")
        if found is not None and not self.request.resume:
            on_warning(
                f"a fine-tuning of these settings was cut short after epoch {found.epoch}; it "
                f"begins anew, for --resume was not given"
            )
        return found if self.request.resume else None

    def bottlenecks(
        self, tuned: _Phases, source: BatchSource, on_photo: PhotoListener
    ) -> NDArray[np.float32]:
        """Of all photos, by the backbone that is kept."""
        if not tuned.result.best_epoch:
            return self.data.bottlenecks
        count, width = len(self.data.labels), tuned.network.width
        if fits(count, width, copies=2, memory_limit=None):
            out = aligned_matrix(count, width)
        else:
            out = mapped_matrix(self.workspace.root, count, width)
        told = partial(on_photo, "tuned network")
        return vectors_of(tuned.network, source, np.arange(count), out, told)

    def contents(
        self, folder: Path, tuned: _Phases, bottlenecks: NDArray[np.float32]
    ) -> RunContents:
        """What the run holds; weights of a backbone of its own are written into its folder."""
        used, result = self.training_set.used, tuned.result
        kept = KeptBackbone(used.backbone, used.fingerprint)
        trained, data = tuned.before, replace(self.data, bottlenecks=bottlenecks)
        if result.best_epoch:
            kept = keep_backbone(folder, self.workspace, used.backbone, self.parts.network)
            head = tuned.network.head()
            if result.stopped_by != "interrupt":
                head = last_head(head, data)
            trained = TrainedHead(head, (), 0, result.stopped_by)
        trained = with_fitted_scores(trained, data, self.request.tuning.seed)
        predictions = predict(trained.head, bottlenecks, self.training_set.images)
        counts = ImageCounts.of(predictions, len(self.data.training))
        info = RunInfo(
            self._provenance(kept, trained, result, counts),
            cache=kept.fingerprint,
            versions=current_versions(),
            best_step=result.best.step,
            stopped_by=result.stopped_by,
        )
        origins = self.training_set.origins
        metrics = metrics_by_split(predictions, origins)
        return RunContents(info, origins, trained.head, result.history, predictions, metrics)

    def _provenance(
        self, kept: KeptBackbone, trained: TrainedHead, result: TuningResult, counts: ImageCounts
    ) -> Provenance:
        used, parent = self.training_set.used, self.parent
        stopped = result.epochs if result.stopped_by == "interrupt" else None
        made = Tuned(
            used.backbone,
            self.request.tuning,
            None if parent is None else parent.name,
            result.best_epoch > 0,
            stopped,
        )
        return Provenance(
            used.image_dir,
            kept.spec,
            self.request.head_config(parent),
            used.source_classes,
            used.int_ext,
            used.group,
            layout=used.layout,
            made=made,
            parents=() if parent is None else parent.provenance.line(parent.name, calibrated=False),
            counts=counts,
            fit=trained.fit,
            distortion="" if parent is None else parent.provenance.distortion,
        )

    def settle(self, result: TuningResult) -> None:
        """What was cut short can be gone on with; what came to its end needs no file any more."""
        if result.stopped_by != "interrupt":
            self.state.remove()

    def summary(
        self,
        run: Run,
        contents: RunContents,
        tuned: _Phases,
        seconds: dict[str, float],
        interrupted_by: int | None,
    ) -> FinetuneSummary:
        """For people and programs."""
        data, images, origins = self.data, self.training_set.images, self.training_set.origins
        alone = predict(tuned.before.head, data.bottlenecks, images)
        return FinetuneSummary(
            run=run,
            result=tuned.result,
            point=self.parts.point,
            trained_numbers=tuned.network.trained_numbers,
            learning_rate=self.request.tuning.rate_for(len(data.training), data.n_classes),
            before={split: result_of(alone, split, origins) for split in JUDGED},
            kept={split: result_of(contents.predictions, split, origins) for split in JUDGED},
            seconds=seconds,
            interrupted_by=interrupted_by,
        )


def _of_another_backbone(parent: Run) -> RunError:
    """A tuned backbone has the name of the one that it was, and is another one."""
    what, way = parent.info.backbone.label(), "that backbone"
    if parent.info.has_own_backbone:
        what = f"a fine-tuned {what} of its own"
        way = setting("weights", shell_line([parent.name]))
    return RunError(
        f"{setting('FinetuneRequest.from_run')} needs a run of the backbone last used, and "
        f"{parent.name} was trained on {what}: choose another run, or run `retrain bottlenecks` "
        f"with {way}"
    )


class _Clock:
    """How long each stage takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        """The stage is at its end."""
        now = time.monotonic()
        self.seconds[stage], self._last = now - self._last, now
