"""What `retrain serve` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retrain_cli.checks import check_choices, check_least, check_positive
from retrain_cli.errors import ConfigError, setting
from retrain_cli.images.decode import MAX_PIXELS
from retrain_cli.images.photo_files import MAX_FILE_BYTES
from retrain_cli.workflows.label import USUAL_TOP_K, LabelRequest

DEFAULT_NAME = "default"
"""TensorFlow Serving's own name for a model that nobody named; here it always works."""

PHOTOS_A_REQUEST_BYTES = 4
"""A request may be so many times as large as a photo: base64 takes a third more."""


@dataclass(frozen=True)
class ServeRequest:
    """How to serve.

    Attributes:
        run: name of the run, or how it begins; None for the latest.
        host: the address that is listened at.
        port: 0 for one that is free.
        model: a file that `retrain export` wrote, in place of a run.
        bundle: a file that `retrain bundle` wrote, in place of a run.
        trust_model: whether a SavedModel may run: it can read and write files as any program.
        name: of the model in its address; None for that of the run or file. `default` works, too.
        top_k: labels a photo.
        threshold: labels with a lower score are left out.
        reject: whether to leave photos unnamed that are unlike the training photos, or unsure.
        max_error: with `reject`, the share of the named photos that may be wrong.
        similar: most similar training photos that the page shows.
        collect: folder that corrected photos go to, by class; None to take no corrections.
        reload: whether a newer run of that name takes over.
        api_key: what every request has to show; None for no key.
        queue: photos that wait or are worked on, at most; more are refused.
        batch_size: photos a forward pass, at most.
        batch_wait: milliseconds that a photo waits for others, on a GPU.
        max_bytes: bytes of a photo; a request may have `PHOTOS_A_REQUEST_BYTES` times as many.
        max_pixels: of a photo.
        photo_timeout: seconds of processor time for a photo that may take very long by its header;
            0 for no limit.
        receive_timeout: seconds within which a request must have arrived.
        workers: number of threads that decode; None: one a processor.
        device: auto, cpu, gpu or gpu:N.
    """

    run: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    model: Path | None = None
    bundle: Path | None = None
    trust_model: bool = False
    name: str | None = None
    top_k: int = USUAL_TOP_K
    threshold: float = 0.0
    reject: bool = False
    max_error: float = 0.05
    similar: int = 4
    collect: Path | None = None
    reload: bool = False
    api_key: str | None = None
    queue: int = 128
    batch_size: int = 32
    batch_wait: float = 2.0
    max_bytes: int = 20 << 20
    max_pixels: int = 50_000_000
    photo_timeout: float = 5.0
    receive_timeout: float = 30.0
    workers: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        check_choices(self)
        check_least(self, 1, "queue", "max_bytes", "max_pixels")
        check_least(self, 0, "port", "similar")
        check_positive(self, "receive_timeout")
        check_positive(self, "batch_wait", with_0=True)
        for name, most in (("port", 65_535), ("max_pixels", MAX_PIXELS), ("max_bytes", _MOST)):
            if getattr(self, name) > most:
                raise ConfigError(
                    f"{setting(name)} is at most {most}, not {getattr(self, name)}: choose less"
                )
        _check_words(self)
        _ = self.labelling  # it checks the rest

    @property
    def labelling(self) -> LabelRequest:
        """How photos are labelled, as `retrain label` is asked for it."""
        names = ("run", "model", "bundle", "trust_model", "top_k", "threshold", "reject")
        more = ("max_error", "batch_size", "workers", "device", "photo_timeout")
        return LabelRequest(**{name: getattr(self, name) for name in (*names, *more)})

    @property
    def most_bytes(self) -> int:
        """Bytes of a whole request."""
        return PHOTOS_A_REQUEST_BYTES * self.max_bytes


_MOST = MAX_FILE_BYTES


def _check_words(request: ServeRequest) -> None:
    """Hold the key and the name to what can be sent in a header, and in an address.

    Raises:
        ConfigError: one of them cannot.
    """
    key, name = request.api_key, request.name
    if key is not None and not (key and key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError(
            f"{setting('api_key')} takes printable ASCII characters without spaces, for it is sent "
            "in a header: choose another one"
        )
    if name is not None and not (name and not set(name) & set("/:?#") and name.isprintable()):
        raise ConfigError(
            f"{setting('name')} is part of an address and takes no / : ? or #, not {name!r}: "
            "choose another one"
        )
