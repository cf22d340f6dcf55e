"""Where photos lie: a path of this machine, or the URL of a bucket or of an object in one."""

from __future__ import annotations

import os
import re
from pathlib import PurePath, PurePosixPath
from typing import Final

from retrain_cli.errors import ConfigError
from retrain_cli.paths import StrPath, absolute, as_path

SCHEMES: Final = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
"""What pyarrow opens."""

_URL = re.compile(rf"({'|'.join(SCHEMES)}):/{{1,2}}(?=[^/])")
"""With one slash, too: that is what becomes of two where a URL is taken for a path on its way."""

ANONYMOUS: Final = "anonymous"
"""The user of `s3://anonymous@bucket`: nothing is signed, as a public bucket allows."""

_GOOGLE: Final = ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST")
KEYS_AND_SERVER: Final = {
    "s3:": ("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"),
    "gs:": _GOOGLE,
    "gcs:": _GOOGLE,
}
"""The variables that name the keys and the server, of those whose URLs name the bucket alone."""


class UrlPath(PurePosixPath):
    """A URL that is joined like a path: `s3://bucket/photos` / `daisy/1.jpg`.

    It is no `Path`, so nothing can open it as a file of this machine.
    """

    def __str__(self) -> str:
        scheme, _, rest = super().__str__().partition(":")
        return f"{scheme}://{rest.lstrip('/')}"

    def __fspath__(self) -> str:
        return str(self)


def is_url(text: str) -> bool:
    """Whether this is the URL of an object storage; a folder called `s3:` is `./s3:`."""
    return _URL.match(text) is not None


def absolute_place(path: StrPath) -> PurePath:
    """A path of this machine made absolute, with `~`; a URL as it is.

    Raises:
        ConfigError: the URL holds what does not belong into one, such as a password.
    """
    return _checked(path) or absolute(path)


def as_place(path: StrPath) -> PurePath:
    """The same, but a relative path stays relative."""
    return _checked(path) or as_path(path)


def _checked(path: StrPath) -> UrlPath | None:
    text = os.fspath(path)
    if not is_url(text):
        return None
    url = UrlPath(text)
    user, at, _ = url.parts[1].rpartition("@")
    if at and url.parts[0] in KEYS_AND_SERVER and user != ANONYMOUS:
        raise ConfigError(  # without the URL: it holds a secret
            f"a URL is written down with each run, and so must hold no keys; received one with a "
            f"user before the bucket ({url.parts[0]}//...@): give keys by "
            f"{KEYS_AND_SERVER[url.parts[0]][0]}, or {url.parts[0]}//{ANONYMOUS}@BUCKET for a "
            "public bucket"
        )
    return url
