"""What every command needs of its surroundings."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from retrain_cli.errors import ConfigError, setting
from retrain_cli.runs.command_lines import split_commas
from retrain_cli.workspace import Workspace

_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)


def workspace_of(ctx: typer.Context) -> Workspace:
    """The workspace that the root command chose."""
    workspace = ctx.find_object(Workspace)
    assert workspace is not None  # the root command always sets it
    return workspace


def check_plot(path: Path | None) -> None:
    """Refuse a picture of another format, or without a folder to lie in, before the work.

    Raises:
        ConfigError: the suffix is none that is written, or the folder is not there.
    """
    if path is not None:
        from retrain_cli.reports.plots.plot_files import check_format

        check_format(path)
        if not path.parent.is_dir():
            raise ConfigError(
                f"{setting('plot')} is written into a folder that is there, and {path.parent} is "
                "none: make it first, or choose another place"
            )


def comma_separated(text: str) -> tuple[str, ...]:
    """`a,b,c` as a tuple; a name with a comma stands in double quotes, as in CSV."""
    return split_commas(text)


def byte_count(text: str) -> int:
    """`500M`, `2G` or `1.5 GB` as a number of bytes, in steps of 1024.

    Raises:
        ConfigError: it is none of these.
    """
    match = _BYTES.fullmatch(text.strip())
    if match is None:
        raise ConfigError(
            f"{setting('memory_limit')} takes an amount of memory such as 500M or 2G, not {text!r}"
        )
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))


def numbers(text: str, field: str) -> tuple[int, ...]:
    """`3,5` as numbers.

    Raises:
        ConfigError: one of them is none.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"{setting(field)} takes whole numbers such as 3,5, not {text!r}"
        ) from error


def at_most_one(flags: dict[str, bool]) -> None:
    """Refuse flags that exclude each other.

    Raises:
        ConfigError: more than one of them is given.
    """
    given = [flag for flag, is_given in flags.items() if is_given]
    if len(given) > 1:
        raise ConfigError(f"choose one of {' and '.join(given)}, not {len(given)} of them")
