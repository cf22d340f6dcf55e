"""Kill each command that writes before each of its file operations, and look at what is left.

    python tools/kill_points.py                        # every point of every command
    python tools/kill_points.py --fault ENOSPC --only train --every 3

A point is an open for writing, a rename, link, removal, new folder, fsync, or a statement or commit
of SQLite. The command runs in a process of its own; the same happens with errors in place of the
kill (ENOSPC, EIO, EACCES, memory). Afterwards no photo, cached vector or finished run may be lost
or damaged, and the same command must go on. An error ends with exit code 3 and one
line, or the work is done all the same. What is wrong is printed, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
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
_LIMIT_S = 120


@dataclass(frozen=True)
class Struck:
    """What came of a command that was struck.

    Attributes:
        number: the operation before which it was.
        end: exit status; that of a signal is negative.
        wrong: what is not as promised; empty where all is well.
    """

    number: int
    end: int
    wrong: str = ""


def in_child(act: Callable[[], object], shim: Shim | None = None) -> tuple[int, int]:
    """Do something in a process of its own.

    Returns:
        Exit status as of a command, and how many operations the shim counted.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(_LIMIT_S)
        status = 0
        try:
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
        in_child(lambda: case.prepare(Scene(scratch)))
        shutil.copytree(scratch, self._prepared, symlinks=True)
        damaged = "repair" in case.name
        self._before = held_by(Scene(scratch), repaired=not damaged)
        end, self.points = in_child(self._run, Shim("kill", 0, (scratch,)))
        if end != 0:
            raise RuntimeError(f"{case.name} does not work by itself: {end}")
        self._after = held_by(Scene(scratch), repaired=True)

    def strike(self, fault: str, number: int) -> Struck:
        """Let the fault come before an operation."""
        self._copy(self._prepared)
        end, _ = in_child(self._run, Shim(fault, number, (self._scratch,)))
        if end not in _GOOD_ENDS.get(fault, _TOLD):
            return Struck(number, end, f"it ended with {end}")
        try:
            damaged = "repair" in self._case.name
            self._compare(held_by(Scene(self._scratch), repaired=not damaged))
            again, _ = in_child(self._run)
            if again not in _ANSWERED:
                return Struck(number, end, f"the next time it ended with {again}")
            self._compare(held_by(Scene(self._scratch), repaired=True))
        except (AssertionError, RetrainError, OSError) as error:
            return Struck(number, end, f"{type(error).__name__}: {error}"[:300])
        return Struck(number, end)

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


def main() -> int:
    """Strike what the flags say; returns 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", choices=FAULTS, default="kill")
    parser.add_argument("--only", default="", help="commands whose name begins so")
    parser.add_argument("--every", type=int, default=1, help="only each n-th point")
    options = parser.parse_args()
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
                strikes.strike(options.fault, number)
                for number in range(1, strikes.points + 1, options.every)
            ]
            faulty = [one for one in struck if one.wrong]
            total, wrong = total + len(struck), wrong + len(faulty)
            print(f"{case.name}: {options.fault} at {len(struck)} points, {len(faulty)} wrong")
            for one in faulty:
                print(f"  before operation {one.number}: {one.wrong}")
            sys.stdout.flush()
    print(f"{total} times {options.fault}, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
