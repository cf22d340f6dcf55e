"""The names of the command line's options, each written in one place.

Requests and settings are dataclasses whose fields name things as a notebook does: `batch_size`. The
command line calls the same thing `--batch-size`. Whoever writes a command for a user to type, or
turns a message about a field into one about an option, asks here.
"""

from __future__ import annotations

_NAMES: dict[str, str] = {}
"""Fields whose option is not the field's own name with dashes."""


def flag_of(field: str) -> str:
    """The option that sets a field: `batch_size` is set by `--batch-size`."""
    return _NAMES.get(field, "--" + field.replace("_", "-"))
