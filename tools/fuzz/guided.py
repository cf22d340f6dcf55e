"""Parsers of our own under atheris: files that make them do something new are changed further."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from fuzz.parsers import Parser, try_input

_MOST_BYTES = 1 << 16
_MOST_MB = 2000
_LIMIT_S = 20
_END_LINES = 40


class GuidedFaultError(Exception):
    """A parser did with a file what none may do."""


def fuzz_guided(parser: Parser, seconds: int, folder: Path) -> Counter[str]:
    """Try inputs for some time, in a process of its own; returns how many there were.

    Raises:
        GuidedFaultError: the end of what atheris printed, with the input's file.
    """
    log = folder / "log"
    child = os.fork()
    if child == 0:
        _enter(log)
        _fuzz(parser, seconds, folder)
    _, status = os.waitpid(child, 0)
    told = log.read_text(errors="replace")
    tried = re.search(r"number_of_executed_units: (\d+)", told)
    if status != 0 or tried is None:
        raise GuidedFaultError("\n".join(told.splitlines()[-_END_LINES:]))
    covered = re.findall(r"cov: (\d+)", told)
    return Counter({"tried": int(tried[1]), "places reached": int(covered[-1])})


def _enter(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)


def _fuzz(parser: Parser, seconds: int, folder: Path) -> NoReturn:
    """Does not return: libFuzzer ends the process, with 0 where nothing was found."""
    atheris = _atheris()
    corpus = folder / "corpus"
    corpus.mkdir()
    with atheris.instrument_imports(include=["retrain_cli"]):
        # Parsers import when they work, so all of them is imported, and watched, here.
        for number, seed in enumerate(parser.seeds()):
            (corpus / str(number)).write_bytes(seed)
            try_input(parser, seed, folder)

    def try_one(data: bytes) -> None:
        try_input(parser, data, folder)

    flags = {
        "max_total_time": seconds,
        "max_len": _MOST_BYTES,
        "rss_limit_mb": _MOST_MB,
        "timeout": _LIMIT_S,
        "print_final_stats": 1,
    }
    atheris.Setup(
        [sys.argv[0], str(corpus), *(f"-{name}={value}" for name, value in flags.items())], try_one
    )
    atheris.Fuzz()
    os._exit(0)


def _atheris() -> Any:
    try:
        import atheris
    except ImportError:
        sys.exit("--guided needs atheris: pip install 'retrain-cli[fuzz]'")
    return atheris
