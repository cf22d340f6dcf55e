"""Kill each command that writes before each of its file operations, and look at what is left.

    python tools/kill_points.py                        # every point of every command
    python tools/kill_points.py --fault ENOSPC --only train --every 3
    python tools/kill_points.py --twice                # also while it makes up for the first kill

A point is an open for writing, a rename, link, removal, new folder, fsync, or a statement or commit
of SQLite. The command runs in a process of its own; the same happens with errors in place of the
kill (ENOSPC, EIO, EACCES, memory, no-memory). Afterwards no photo, cached vector, finished run or
finished trial may be lost or damaged, and the same command must go on. An error ends with exit
code 3 and one line, or the work is done all the same. What is wrong is printed, and the exit status
is 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT), str(_ROOT / "tests"), str(_ROOT / "tools")]

from faults.scenes import CASES, Case, Held, Scene, held_by, make_scene  # noqa: E402
from faults.shim import FAULTS, Shim  # noqa: E402

from retrain_cli.cli import console  # noqa: E402
from retrain_cli.cli.main import exit_codes  # noqa: E402
from retrain_cli.errors import RetrainError  # noqa: E402

_KILLED = -signal.SIGKILL
_GOOD_ENDS = {"kill": (_KILLED, 0)}  # where threads race, its point may not come
_TOLD = (0, 3)
"""What an error may end with: the work is done all the same, or one line says what is missing."""
_ANSWERED = (0, 2, 3)
_NEVER = ("Traceback", "unexpected fault", "Exception ignored")
_LIMIT_S = 120
_IN_ADVANCE = ("cykooz_resizer", "jinja2", "scipy.optimize", "scipy.stats")
"""What commands import when they need it: done once here, it takes no time of each of them."""


@dataclass(frozen=True)
class Struck:
    """What came of a command that was struck.

    Attributes:
        number: the operation before which it was.
        times: how often the fault came: where threads race, a point may not come.
        wrong: what is not as promised; empty where all is well.
    """

    number: int
    times: int
    wrong: str = ""


class WrongEndError(Exception):
    """A command ended as none should."""


def in_child(
    act: Callable[[], object], shim: Shim | None = None, told: Path | None = None
) -> tuple[int, int]:
    """Do something in a process of its own.

    Args:
        act: what to do.
        shim: lets a fault come.
        told: where its standard error goes.

    Returns:
        Exit status as of a command, and how many operations the shim counted.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(_LIMIT_S)
        status = 0
        try:
            if told is not None:
                _tell_into(told)
            console.configure(quiet=shim is not None, verbose=False)
            if shim is not None:
                shim.install()
            with exit_codes():
                act()
        except SystemExit as left:  # as the command itself would end
            status = left.code if isinstance(left.code, int) else 1
        except BaseException:  # a fault of ours, which is to be shown
            traceback.print_exc()
            status = 1
        os.write(theirs, str(shim.count if shim else 0).encode())
        os._exit(status)
    os.close(theirs)
    _, result = os.waitpid(child, 0)
    counted = os.read(ours, 20)
    os.close(ours)
    return os.waitstatus_to_exitcode(result), int(counted or 0)


def _tell_into(file: Path) -> None:
    """Let standard error go into a file, also that which this process knew when it first told."""
    target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (2, console._error_descriptor()):
        os.dup2(target, descriptor)


class Strikes:
    """Strikes one command at its points, each time in a fresh copy of the scene.

    Args:
        case: the command.
        template: a scene made by `make_scene`.
        scratch: the folder that the scene must lie in while the command runs.
    """

    def __init__(self, case: Case, template: Path, scratch: Path) -> None:
        self._case, self._scratch = case, scratch
        self._prepared = scratch.with_name("prepared")
        shutil.rmtree(self._prepared, ignore_errors=True)
        self._copy(template)
        if in_child(lambda: case.prepare(Scene(scratch)))[0] != 0:
            raise RuntimeError(f"{case.name} cannot be prepared")
        shutil.copytree(scratch, self._prepared, symlinks=True)
        self._before = held_by(Scene(scratch), repaired=not self._is_damaged())
        end, self.points = in_child(self._run, Shim("kill", 0, (scratch,)))
        if end != 0:
            raise RuntimeError(f"{case.name} does not work by itself: {end}")

    def strike(self, fault: str, number: int, again: int = 0) -> Struck:
        """Let the fault come before an operation.

        Args:
            fault: one of `FAULTS`.
            number: of the operation, from 1.
            again: of the operation of the next try, before which it comes once more; 0 for none.
        """
        self._copy(self._prepared)
        times, self._finished = 0, self._before.trials
        try:
            ends = _GOOD_ENDS.get(fault, _TOLD)
            times += self._strike_at(fault, number, ends)
            if again:  # what is done already, the next try may refuse to do again
                times += self._strike_at(fault, again, (_KILLED, *_ANSWERED))
            end, _ = in_child(self._run)
            if end not in _ANSWERED:
                raise WrongEndError(f"the next time it ended with {end}")
            self._compare(held_by(Scene(self._scratch), repaired=True))
        except (AssertionError, RetrainError, WrongEndError, OSError) as error:
            return Struck(number, times, f"{type(error).__name__}: {error}"[:400])
        return Struck(number, times)

    def _strike_at(self, fault: str, number: int, ends: Collection[int]) -> bool:
        """Run the command with a fault, to end with one of `ends`; returns whether that came."""
        told = self._scratch.with_name("told")
        end, counted = in_child(self._run, Shim(fault, number, (self._scratch,)), told)
        if end not in ends:
            raise WrongEndError(f"it ended with {end}: {told.read_text()[-300:]}")
        text = told.read_text()
        errors = sum(line.startswith("error: ") for line in text.splitlines())
        if errors != (end in (2, 3)) or any(words in text for words in _NEVER):
            raise WrongEndError(f"with {end} it said {text[-300:]!r}")
        self._compare(held_by(Scene(self._scratch), repaired=not self._is_damaged()))
        return end == _KILLED or counted >= number

    def _is_damaged(self) -> bool:
        return "repair" in self._case.name

    def _run(self) -> object:
        return self._case.run(Scene(self._scratch))

    def _copy(self, source: Path) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)
        shutil.copytree(source, self._scratch, symlinks=True)

    def _compare(self, now: Held) -> None:
        lost = set(self._before.photos) - set(now.photos)
        assert not lost, f"photos are lost: {lost}"
        gone = self._before.vectors - now.vectors
        assert not now.vectors or len(gone) <= self._case.may_lose, f"{len(gone)} vectors are lost"
        missing = self._before.runs - now.runs - {self._case.may_remove}
        assert not missing, f"runs are lost: {missing}"
        renamed = {self._case.may_remove, self._case.may_add}
        assert not self._case.may_add or renamed & now.runs, "a renamed run is lost"
        assert now.trials >= self._finished, "finished trials are lost"
        self._finished = now.trials


def _again(strikes: Strikes, number: int, twice: bool) -> int:
    """Before which operation the next try is struck, another one for each first strike."""
    return 1 + number * 7 % strikes.points if twice else 0


def main() -> int:
    """Strike what the flags say; returns 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", choices=FAULTS, default="kill")
    parser.add_argument("--only", default="", help="commands whose name begins so")
    parser.add_argument("--every", type=int, default=1, help="only each n-th point")
    parser.add_argument("--first", type=int, default=1, help="the first of these points")
    parser.add_argument("--twice", action="store_true", help="strike the next try, too")
    options = parser.parse_args()
    for name in _IN_ADVANCE:
        import_module(name)
    total, wrong = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        template, scratch = Path(folder, "template"), Path(folder, "scene")
        # Paths are remembered, so the scene is made where it is used.
        in_child(lambda: make_scene(scratch))
        shutil.copytree(scratch, template, symlinks=True)
        for case in CASES:
            if not case.name.startswith(options.only):
                continue
            strikes = Strikes(case, template, scratch)
            struck = [
                strikes.strike(options.fault, number, _again(strikes, number, options.twice))
                for number in range(options.first, strikes.points + 1, options.every)
            ]
            times = sum(one.times for one in struck)
            faulty = [one for one in struck if one.wrong]
            total, wrong = total + times, wrong + len(faulty)
            print(f"{case.name}: {times} times {options.fault}, {len(faulty)} wrong")
            for one in faulty:
                print(f"  before operation {one.number}: {one.wrong}")
            sys.stdout.flush()
    print(f"{total} times {options.fault}, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
