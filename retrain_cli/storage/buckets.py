"""Objects of a bucket through pyarrow: listed once, read whole, each request tried again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from retrain_cli.errors import ConfigError, MissingExtraError, StorageError
from retrain_cli.storage.faults import GaveUpError, in_words, is_gone, told, with_retries
from retrain_cli.storage.urls import ANONYMOUS, KEYS_AND_SERVER, UrlPath

REQUESTS: Final = 32
"""Objects that are fetched at the same time."""

_CONNECT_SECONDS, _ANSWER_SECONDS = 10, 60
_GOOGLE_SECONDS: Final = 1  # that its library tries again by itself; then we do, and tell
_HEAD_BYTES: Final = 4096
_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object as its listing tells of it.

    Attributes:
        path: relative to what was listed.
        size: bytes.
        mtime_ns: when it was written, by the server's clock; nanoseconds since 1970.
    """

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class ObjectStore:
    """A bucket, or what else has the objects of one URL.

    Attributes:
        files: pyarrow's file system, which any thread may use.
        bucket: what names it, `s3://bucket`.
    """

    files: Any
    bucket: str

    def list_below(self, url: UrlPath, *, deep: bool = True) -> list[FoundObject]:
        """Every object below a URL, in no order.

        Args:
            url: where.
            deep: at any depth, or directly below it only.

        Raises:
            StorageError: there is no such bucket, nothing below the URL, or no answer.
        """
        from pyarrow.fs import FileSelector, FileType

        path = _path_in(url)
        try:
            selector = FileSelector(path, recursive=deep)
            found = with_retries(lambda: self.files.get_file_info(selector))
        except OSError as error:
            raise StorageError(
                _nothing_there(url) if is_gone(error) else _unreadable(url, error)
            ) from error
        start = len(path) + 1
        return [
            FoundObject(one.path[start:], one.size, one.mtime_ns)
            for one in found
            if one.type == FileType.File
        ]

    def read(
        self, url: UrlPath, most: int, is_wanted: Callable[[bytes], bool] | None = None
    ) -> bytes:
        """All bytes of an object, which may have `most`; of a longer one, one byte more.

        Args:
            url: the object.
            most: bytes.
            is_wanted: is asked with its first bytes; where it says no these are all that is read.

        Raises:
            StorageError: the server is lost: it answers nothing else either.
            OSError: this object cannot be read; its `strerror` says why.
        """
        read = self._read_stream if url.parts[0] in ("gs:", "gcs:") else self._read
        try:
            return with_retries(lambda: read(_path_in(url), most, is_wanted))
        except GaveUpError as error:
            self._check_there(error)
            raise told(error, str(url)) from error
        except OSError as error:
            raise told(error, str(url)) from error

    def _read(self, path: str, most: int, is_wanted: Callable[[bytes], bool] | None) -> bytes:
        with self.files.open_input_file(path) as file:
            wanted = min(file.size(), most + 1)
            head = b""
            if is_wanted is not None:
                head = bytes(file.read(min(_HEAD_BYTES, wanted)))
                if not is_wanted(head):
                    return head
            data = head + bytes(file.read(wanted - len(head)))
        if len(data) < wanted:
            raise ConnectionError(f"{wanted - len(data)} bytes are missing")
        return data

    def _read_stream(
        self, path: str, most: int, is_wanted: Callable[[bytes], bool] | None
    ) -> bytes:
        """The same for Google's, whose files pyarrow asks for their size with Python's lock held.

        All others wait then until the server answers. What is cut short, Google's library tells.
        """
        with self.files.open_input_stream(path, compression=None) as stream:
            pieces = [bytes(stream.read(min(_HEAD_BYTES, most + 1)))]
            if is_wanted is not None and not is_wanted(pieces[0]):
                return pieces[0]
            left = most + 1 - len(pieces[0])
            while left > 0 and (piece := stream.read(min(left, _PIECE_BYTES))):
                pieces.append(bytes(piece))
                left -= len(piece)
        return b"".join(pieces)

    def _check_there(self, reason: OSError) -> None:
        """Ask for the bucket itself: one object may be out of reach, or the whole server.

        Raises:
            StorageError: there is no answer to that, either.
        """
        try:
            with_retries(lambda: self.files.get_file_info(_path_in(UrlPath(self.bucket))))
        except GaveUpError as error:
            raise StorageError(
                f"photos are read from {self.bucket}, and the server is lost ({reason}): run the "
                "same command again when it answers"
            ) from error
        except OSError:
            return  # it answers, if only that it does not tell


def open_store(url: UrlPath) -> ObjectStore:
    """The store that holds a URL; opened once.

    Raises:
        MissingExtraError: pyarrow is not installed.
        StorageError: there is no such bucket, or no answer.
    """
    return open_bucket(url.parts[0].removesuffix(":"), url.parts[1])


@cache
def open_bucket(scheme: str, authority: str) -> ObjectStore:
    """The same of a bucket; `authority` is what follows `s3://`."""
    try:
        import pyarrow
        from pyarrow import fs
    except ImportError as error:
        raise MissingExtraError("photos of object storage", "storage") from error
    pyarrow.set_io_thread_count(max(REQUESTS, pyarrow.io_thread_count()))  # before any is opened
    bucket = f"{scheme}://{authority}"
    user, _, name = authority.rpartition("@")
    try:
        if scheme == "s3":
            files = fs.S3FileSystem(**_s3_options(name, anonymous=user == ANONYMOUS))
        elif scheme in ("gs", "gcs"):
            files = fs.GcsFileSystem(**_gs_options(anonymous=user == ANONYMOUS))
        else:
            files, _ = fs.FileSystem.from_uri(quote(bucket, safe=":/@"))
    except (OSError, ValueError, NotImplementedError, AttributeError) as error:
        raise StorageError(
            f"photos of {bucket} are read by pyarrow, which cannot open it ({error}): check the "
            "URL, the network and the keys"
        ) from error
    return ObjectStore(files, bucket)


def _s3_options(bucket: str, *, anonymous: bool) -> dict[str, Any]:
    """How S3 is reached: keys are found by the AWS chain itself, in variables, files and roles."""
    from pyarrow import fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return {
        "anonymous": anonymous,
        "endpoint_override": endpoint or None,
        "region": (region or "us-east-1") if endpoint else fs.resolve_s3_region(bucket),
        "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=1),  # we try again, and tell
        "connect_timeout": _CONNECT_SECONDS,
        "request_timeout": _ANSWER_SECONDS,
    }


def _gs_options(*, anonymous: bool) -> dict[str, Any]:
    """How Google's storage is reached: keys are found as all of Google's programs find them.

    Raises:
        ConfigError: the variable for another server names none.
    """
    patience = {"retry_time_limit": timedelta(seconds=_GOOGLE_SECONDS)}
    server = os.environ.get("STORAGE_EMULATOR_HOST", "")
    if not server:
        return {"anonymous": anonymous, **patience}
    named = re.fullmatch(r"(?:(https?)://)?([^/@]+)/?", server)
    if named is None:
        raise ConfigError(
            "STORAGE_EMULATOR_HOST names a server, such as http://localhost:9023, not "
            f"{server!r:.80}: correct or unset it"
        )
    # An emulator knows nobody, as all of Google's programs have it.
    return {
        "anonymous": True,
        "scheme": named[1] or "http",
        "endpoint_override": named[2],
        **patience,
    }


def _path_in(url: UrlPath) -> str:
    """What pyarrow calls it: `bucket/photos/daisy`."""
    scheme, authority, *rest = url.parts
    if scheme in ("abfs:", "abfss:"):
        authority = authority.partition("@")[0]  # container@account
    if scheme in ("hdfs:", "viewfs:"):
        return "/" + "/".join(rest)
    return str(PurePosixPath(authority.rpartition("@")[2], *rest))


def _nothing_there(url: UrlPath) -> str:
    return (
        f"photos are read from folders below a URL, and there is nothing below {url}: check the "
        "name; upper and lower case differ"
    )


def _unreadable(url: UrlPath, error: OSError) -> str:
    keys, server = KEYS_AND_SERVER.get(url.parts[0], ("the keys", "the network"))
    remedies = {
        "access denied": f"check the keys ({keys}), or write {url.parts[0]}//{ANONYMOUS}@BUCKET "
        "for a public bucket",
        "there is no such bucket": f"check its name and {server}",
    }
    words = in_words(error)
    remedy = remedies.get(words, f"check the network, {server} and the keys ({keys})")
    return f"photos are listed by their server first, and {url} cannot be ({words}): {remedy}"
