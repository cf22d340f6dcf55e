"""Requests that cannot be answered: JSON that says why, as TensorFlow Serving has it."""

from __future__ import annotations


class RefusedError(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP.
        message: the rule, what was received, what to do; one line.
        retry_after: seconds after which it may be sent again; None where that changes nothing.
    """

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_after = status, message, retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        return {} if self.retry_after is None else {"retry-after": str(self.retry_after)}


def bad_request(message: str) -> RefusedError:
    """A request that no server could understand."""
    return RefusedError(400, message)


def too_busy() -> RefusedError:
    """All places are taken."""
    return RefusedError(429, "so many photos wait that no other one is taken: send it again", 1)
