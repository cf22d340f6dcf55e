"""What goes wrong between here and a bucket: which of it may pass, and what it is called."""

from __future__ import annotations

import errno
import os
import random
import re
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

TRIES: Final = 5
_FIRST_WAIT: Final = 0.5
"""Seconds before the second try; each further wait is twice as long: 7.5 s in all."""

_GONE: Final = "no longer there"
_CODE = re.compile(
    r"AWS Error ([A-Z_]+)(?: \(HTTP status (\d+)\))?|google::cloud::Status\(([A-Z_]+)"
)
_UNUSABLE_KEYS = re.compile(
    r"OAuth2 .*? underlying error message was: (.{1,200}?) error_info=", re.S
)
"""What Google's library says where the file of keys is none."""

_STAYS: Final = {
    "ACCESS_DENIED": "access denied",
    "NO_SUCH_BUCKET": "there is no such bucket",
    "NO_SUCH_KEY": _GONE,
    "RESOURCE_NOT_FOUND": _GONE,
    "INVALID_ACCESS_KEY_ID": "the access key is not known there",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key does not fit the access key",
    "INVALID_SIGNATURE": "the secret key does not fit the access key",
    "EXPIRED_TOKEN": "the session token has expired",
    "UNRECOGNIZED_CLIENT": "the access key is not known there",
    "MISSING_AUTHENTICATION_TOKEN": "keys are wanted, and none were found",
    "NOT_FOUND": _GONE,
    "PERMISSION_DENIED": "access denied",
    "UNAUTHENTICATED": "access denied",
    "INVALID_ARGUMENT": "the server does not take the request",
    "FAILED_PRECONDITION": "the server does not take the request",
}
_PASSES: Final = {
    "NETWORK_CONNECTION": "the connection failed",
    "SLOW_DOWN": "the server is overloaded",
    "THROTTLING": "the server is overloaded",
    "SERVICE_UNAVAILABLE": "the server is overloaded",
    "INTERNAL_FAILURE": "the server has a fault",
    "REQUEST_TIMEOUT": "no answer in time",
    "UNAVAILABLE": "the server cannot be reached, or is overloaded",
    "RESOURCE_EXHAUSTED": "the server is overloaded",
    "INTERNAL": "the server has a fault",
    "DEADLINE_EXCEEDED": "no answer in time",
}
_STATUS: Final = {
    401: "access denied",
    403: "access denied",
    404: _GONE,
    429: "the server is overloaded",
    503: "the server is overloaded",
}
_PASSING_STATUS: Final = (408, 429)


class GaveUpError(OSError):
    """Every try failed, each for a reason that may pass; the message says which and how often."""


def is_gone(error: OSError) -> bool:
    """Whether an error of pyarrow's says that there is nothing: of Google's, in words alone."""
    return isinstance(error, FileNotFoundError) or str(error).startswith(os.strerror(errno.ENOENT))


def may_pass(error: OSError) -> bool:
    """Whether the same request may succeed a moment later."""
    if is_gone(error) or isinstance(error, PermissionError | NotADirectoryError):
        return False
    code, status = _code_of(error)
    return code not in _STAYS and not (400 <= status < 500 and status not in _PASSING_STATUS)


def in_words(error: OSError) -> str:
    """What an error of pyarrow's says, in few words."""
    if isinstance(error, GaveUpError):
        return str(error)
    if is_gone(error):
        return _GONE
    code, status = _code_of(error)
    unusable = _UNUSABLE_KEYS.search(str(error))
    if unusable:
        return f"the keys cannot be used: {unusable[1]}"
    known = _STAYS.get(code) or _PASSES.get(code) or _STATUS.get(status)
    return known or (f"the server answers {status}" if status else _first_line(error))


def told(error: OSError, url: str) -> OSError:
    """An error of pyarrow's as one of the system would be: with words as its `strerror`."""
    words = in_words(error)
    if words == _GONE:
        return FileNotFoundError(errno.ENOENT, words, url)
    return OSError(errno.EIO, words, url)


def _code_of(error: OSError) -> tuple[str, int]:
    found = _CODE.search(str(error))
    return (found[1] or found[3], int(found[2] or 0)) if found else ("", 0)


def _first_line(error: OSError) -> str:
    text = " ".join((error.strerror or str(error)).split())
    return text[:200] or type(error).__name__


def with_retries(ask: Callable[[], T]) -> T:
    """What `ask` gives; asked again, after longer and longer waits, while its fault may pass.

    Raises:
        GaveUpError: it never succeeded.
        OSError: a fault that stays.
    """
    from pyarrow import ArrowException

    started = time.monotonic()
    for number in range(TRIES):
        try:
            return ask()
        except ArrowException as error:  # such as of keys that are none: it stays
            raise OSError(str(error)) from error
        except OSError as error:
            if not may_pass(error):
                raise
            last = error
        if number + 1 < TRIES:
            time.sleep(_FIRST_WAIT * 2**number * random.uniform(0.5, 1.5))
    seconds = time.monotonic() - started
    raise GaveUpError(f"{in_words(last)}, {TRIES} tries in {seconds:.0f} s") from last
