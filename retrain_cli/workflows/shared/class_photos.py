"""Photos of a class that a run does not know yet, beside those that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from retrain_cli import notices
from retrain_cli.datasets.class_names import shown_name
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.errors import DatasetError, setting
from retrain_cli.evaluation.predictions import ImageTable
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.sampling import select_training
from retrain_cli.runs.run import Run
from retrain_cli.workflows.shared.photo_vectors import GoodPhoto, PhotoReader, PhotoSet, expand


@dataclass(frozen=True, eq=False)
class ClassPhotos:
    """Photos of a new class and of the known ones.

    Attributes:
        run: the run that knows the known ones.
        known: what the run was trained on.
        made_of: photos that the new class is made of.
        test: photos that measure it; may be none.
    """

    run: Run
    known: HeadData
    made_of: PhotoSet
    test: PhotoSet

    @property
    def new(self) -> tuple[GoodPhoto, ...]:
        """Photos of the new class, those that measure it last."""
        return self.made_of.photos + self.test.photos

    def vectors(self) -> NDArray[np.float32]:
        """Bottlenecks of all photos, in the order of `images`."""
        return np.concatenate([self.known.bottlenecks, self.made_of.vectors, self.test.vectors])

    def images(self) -> ImageTable:
        """The photos of the run, then the new ones, which go by their absolute paths."""
        images, new = self.run.predictions.images, self.new
        codes = np.repeat(
            np.array([SPLITS.index("training"), SPLITS.index("test")], np.uint8),
            [len(self.made_of), len(self.test)],
        )
        digests = [np.frombuffer(photo.digest, np.uint8) for photo in new]
        return ImageTable(
            np.append(images.split, codes),
            np.concatenate([images.digest, np.stack(digests)]),
            [*images.paths, *(photo.path for photo in new)],
            np.append(images.labels, np.full(len(new), len(self.run.labels), np.int32)),
        )


def read_class_photos(
    run: Run, photos: Sequence[PurePath], test: Sequence[PurePath], reader: PhotoReader
) -> ClassPhotos:
    """Read the photos, computing what is not cached.

    Args:
        run: the run that is to learn the class.
        photos: what the class is made of, files or folders.
        test: what measures it, files or folders.
        reader: of the run's backbone.

    Raises:
        DatasetError: no good photo, or one that the run knows as something else.
        CacheError: bottlenecks of the run's own photos are gone.
    """
    files = expand(photos)
    if not files:
        raise DatasetError("a new class needs at least one photo, and there is none: name some")
    vectors = reader.known([row.tobytes() for row in run.predictions.images.digest])
    found = ClassPhotos(
        run, _known_data(run, vectors), reader.read(files), reader.read(expand(test))
    )
    _check_some(found)
    _check_new(found)
    return found


def _known_data(run: Run, vectors: NDArray[np.float32]) -> HeadData:
    """The photos that the run was trained on."""
    predictions, config = run.predictions, run.config
    labels = predictions.images.labels
    training = select_training(
        labels, predictions.rows("training"), config.examples_per_class, config.seed
    )
    return HeadData(vectors, labels, run.labels, training, predictions.rows("validation"))


def _check_some(photos: ClassPhotos) -> None:
    """Refuse a new class without a good photo, and tests without one."""
    for what, some in (("a new class", photos.made_of), (setting("test"), photos.test)):
        if some.bad and not len(some):
            path, reason = some.bad[0]
            more = f", and {len(some.bad) - 1} more" if len(some.bad) > 1 else ""
            raise DatasetError(
                f"{what} needs a photo that can be read, and there is none: {path}: {reason}{more}"
            )


def _where_known(run: Run, photo: GoodPhoto) -> str:
    images = run.predictions.images
    row = [digest.tobytes() for digest in images.digest].index(photo.digest)
    return f"{images.paths[row]} of {shown_name(run.labels[images.labels[row]])}"


def _check_new(photos: ClassPhotos) -> None:
    """Refuse photos that would be counted twice; tell of some that two classes have.

    A photo may stand in two classes, by a link or a copy, as in the folders that a run is trained
    on. What nobody means is a class without a photo of its own, or measured by what was trained on.
    """
    known = {row.tobytes() for row in photos.run.predictions.images.digest}
    shared = [photo for photo in photos.made_of.photos if photo.digest in known]
    wrong = shared if len(shared) == len(photos.made_of) else []
    wrong = [*wrong, *(photo for photo in photos.test.photos if photo.digest in known)]
    if wrong:
        raise DatasetError(
            f"photos of a new class must be new to the run, and {wrong[0].path} is its photo "
            f"{_where_known(photos.run, wrong[0])}: leave it out"
        )
    if shared:
        more = f", and {len(shared) - 1} more" if len(shared) > 1 else ""
        notices.tell(
            f"the run knows {len(shared)} of the {len(photos.made_of)} photos as another class "
            f"({shared[0].path} is its photo {_where_known(photos.run, shared[0])}{more}): what "
            "stands in two classes teaches neither, so leave it out of one"
        )
    made_of = {photo.digest for photo in photos.made_of.photos}
    for photo in photos.test.photos:
        if photo.digest in made_of:
            raise DatasetError(
                f"{setting('test')} photos must not be among those that the class is made of, and "
                f"{photo.path} is: name it once"
            )
