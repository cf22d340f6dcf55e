"""Run every command while something around it is wrong, and look at how it ends.

    python tools/environment_faults.py
    python tools/environment_faults.py --fault "stdout is full" --command "cache verify"

Wanted is an exit code that is documented, one `error:` line where it is not 0, no traceback, no
unexpected fault, an end within a minute, and every photo still there. Each command gets a fresh
copy of one prepared folder. Most run in a process that has the modules already, which takes a tenth
of the time; where the start itself is what matters, the installed command is run.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT), str(_ROOT / "tests"), str(_ROOT / "tools")]

from faults.surroundings import SURROUNDINGS, Surroundings  # noqa: E402
from helpers import QUICK_HEAD, RETRAIN, TINY, make_photos  # noqa: E402

_ERRORS = (2, 3, 4)
_LIMIT_S = 60.0
_NEVER = ("Traceback", "unexpected fault", "Exception ignored", "Fatal Python error")
_SLOW = ("doctor", "study")
"""These load an engine, which takes longer than all others together."""
_IN_ADVANCE = (
    "cykooz_resizer",
    "jinja2",
    "matplotlib.pyplot",
    "openvino",
    "pydantic.main",
    "rich.progress",
    "rich.table",
    "scipy.optimize",
    "scipy.stats",
)
_STUDY = ("--repeats", "1", *QUICK_HEAD)

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("--version",),
    ("--help",),
    ("help", "train"),
    ("config", "show"),
    ("doctor",),
    ("bottlenecks", "photos", *TINY),
    ("bottlenecks", "photos", *TINY, "--plan"),
    ("train", *QUICK_HEAD, "--name", "third"),
    ("eval",),
    ("eval", "--json"),
    ("eval", "--calibrate"),
    ("eval", "--chart", "roc", "--plot", "roc.png"),
    ("label", "new"),
    ("label", "new", "--sort-into", "sorted", "--move"),
    ("report", "--map", "none", "-o", "page.html"),
    ("compare", "run", "second"),
    ("study", "int-ext", *_STUDY),
    ("study", "examples", *_STUDY),
    ("study", "histogram", *_STUDY),
    ("study", "difficulty", *_STUDY),
    ("study", "few-shot", *_STUDY, "--classes", "2"),
    ("study", "stock", *_STUDY),
    ("study", "cost", *_STUDY),
    ("study", "tuning-guide", *_STUDY),
    ("check", "--no-labels", "--script", "more.txt"),
    ("check", "--apply", "moves.txt"),
    ("check", "--undo"),
    ("similar", "photos/ant/0001.png"),
    ("classes",),
    ("classes", "--suggest", "--write", "classes.csv"),
    ("add-class", "cat", "new/cat", "--name", "grown"),
    ("runs",),
    ("runs", "show"),
    ("runs", "note", "run", "a", "word"),
    ("runs", "rename", "second", "other"),
    ("runs", "rm", "second"),
    ("runs", "verify"),
    ("runs", "path"),
    ("cache", "info"),
    ("cache", "verify"),
    ("cache", "verify", "--repair"),
    ("cache", "gc"),
    ("cache", "merge", "other/.retrain"),
    ("cache", "export", "vectors.csv"),
)


@dataclass(frozen=True)
class Trial:
    """How a command ended.

    Attributes:
        code: exit status; that of a signal is negative.
        told: standard error.
        seconds: it took.
        photos: digests of all photos that are there afterwards.
    """

    code: int
    told: str
    seconds: float
    photos: Counter[str]


def make_template(folder: Path) -> None:
    """Photos in three classes, two runs, moves that were made and some that can be."""
    make_photos(folder / "photos", {"ant": 14, "bee": 14, "Käfer 🐞": 14})
    make_photos(folder / "wrong", {"ant": 8}, seed=77)
    for photo in (folder / "wrong" / "ant").iterdir():  # so that no head is always right
        shutil.copy(photo, folder / "photos" / "bee" / f"like-{photo.name}")
    make_photos(folder / "new", {"cat": 3}, seed=9)
    make_photos(folder / "other" / "photos", {"dog": 3, "eel": 3}, seed=4)
    (folder / "home").mkdir()
    for twin in ("ant/0003.png", "bee/0004.png"):
        source = folder / "photos" / twin
        shutil.copy(source, source.with_name("twin.png"))
        _retrain(folder, "bottlenecks", "photos", *TINY)
        _retrain(folder, "check", "--no-labels", "--script", "moves.txt")
        if twin.startswith("ant"):
            _retrain(folder, "check", "--apply", "moves.txt")
    for name in ("run", "second"):
        _retrain(folder, "train", *QUICK_HEAD, "--name", name)
    _retrain(folder, "--workspace", "other/.retrain", "bottlenecks", "other/photos", *TINY)


def _retrain(folder: Path, *arguments: str) -> None:
    subprocess.run([RETRAIN, *arguments], cwd=folder, check=True, capture_output=True)


def photos_of(folder: Path) -> Counter[str]:
    """Digests of all photos below a folder, each file counted."""
    return Counter(
        hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.png")
        if path.name != "roc.png"
    )


class Stage:
    """Runs commands in copies of the prepared folder, all of which lie in the same place.

    Args:
        template: made by `make_template`.
        scratch: where the copies are.
    """

    def __init__(self, template: Path, scratch: Path) -> None:
        self._template, self._scratch = template, scratch
        self.photos = photos_of(template)
        self._out, self._told = scratch.with_name("stdout"), scratch.with_name("stderr")

    def run(self, command: Sequence[str], around: Surroundings) -> Trial:
        """Run one command while something is wrong."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        shutil.copytree(self._template, self._scratch, symlinks=True)
        around.damage(self._scratch)
        started = time.monotonic()
        code = self._wait(self._start(command, around), started)
        seconds = time.monotonic() - started
        told = self._told.read_text(encoding="utf-8", errors="replace")
        return Trial(code, told, seconds, photos_of(self._scratch))

    def _start(self, command: Sequence[str], around: Surroundings) -> int:
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            self._enter(around)
            full = ("--workspace", str(self._scratch / ".retrain"), *command)
            if around.from_start:
                os.execv(RETRAIN, [str(RETRAIN), *full])
            status = _called(full)
        except BaseException:
            traceback.print_exc()
        os._exit(status)

    def _enter(self, around: Surroundings) -> None:
        os.setsid()
        os.chdir(self._scratch)
        for name in ("RETRAIN_WORKSPACE", "COLUMNS", "FORCE_COLOR", "PYTHONWARNINGS"):
            os.environ.pop(name, None)
        os.environ |= {"HOME": str(self._scratch / "home"), **around.variables}
        for descriptor, path, how in (
            (0, Path(os.devnull), os.O_RDONLY),
            (1, self._out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
            (2, self._told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ):
            opened = os.open(path, how)
            os.dup2(opened, descriptor)
            os.close(opened)
        around.enter(self._scratch)

    def _wait(self, child: int, started: float) -> int:
        while time.monotonic() - started < _LIMIT_S * 3:  # a busy machine is slow, not stuck
            found, result = os.waitpid(child, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(result)
            time.sleep(0.02)
        os.killpg(child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _called(arguments: Sequence[str]) -> int:
    """Do what the installed command does, in this process."""
    from retrain_cli.cli import console
    from retrain_cli.cli.main import main as retrain

    for kept in (console._stderr, console._error_descriptor, console._terminal):
        kept.cache_clear()  # as at the start of a process
    sys.stdin, sys.stdout, sys.stderr = (_stream(number) for number in range(3))
    sys.argv = ["retrain", *arguments]
    status = 0
    try:
        retrain()
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        os.write(2, f"Exception ignored: {error}\n".encode())
        status = 120
    return status


def _stream(number: int):  # type: ignore[no-untyped-def] # a stream, or None as at the start of Python
    try:
        os.fstat(number)
    except OSError:
        return None
    return open(number, "w" if number else "r", encoding="utf-8", closefd=False)


def verdict(trial: Trial, around: Surroundings, photos: Counter[str]) -> str:
    """What is not as promised; empty where all is well."""
    allowed = (0, *_ERRORS, *around.may_end_with)
    if trial.code not in allowed:
        return f"it ended with {trial.code}: {_last(trial.told)}"
    for words in _NEVER:
        if words in trial.told:
            return f"it said {words!r}: {_last(trial.told)}"
    errors = [line for line in trial.told.splitlines() if line.startswith("error: ")]
    if not around.is_silent and len(errors) != (trial.code in _ERRORS):
        return f"{len(errors)} error lines with {trial.code}: {_last(trial.told)}"
    if photos - trial.photos:
        return f"{(photos - trial.photos).total()} photos are lost"
    if around.name == "nothing is wrong" and trial.code and not _needs_more(trial.told):
        return f"it does not work by itself: {_last(trial.told)}"
    return ""


def _needs_more(told: str) -> bool:
    """Some need classes that the backbone knows already, and this one knows none."""
    return "source classes" in told


def _last(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-4:])[-600:]


def _warm() -> None:
    """Import what commands import, once for all of them."""
    from retrain_cli.cli.commands import COMMANDS as ALL

    for entry in ALL.values():
        import_module(f"retrain_cli.cli.commands.{entry.place.partition(':')[0]}")
    for name in ("label", "similar", "add_class", "report", "study", "check", "cache", "evaluate"):
        import_module(f"retrain_cli.workflows.{name}")
    for name in _IN_ADVANCE:
        import_module(name)


def main() -> int:
    """Run what the flags say; returns 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fault", default="", help="only what is called so")
    parser.add_argument("--command", default="", help="only commands that begin so")
    parser.add_argument("--template", type=Path, help="keep the prepared folder here")
    parser.add_argument("--every", type=int, default=1, help="only each n-th, all in turn")
    parser.add_argument("--quick", action="store_true", help="no command that loads an engine")
    parser.add_argument("--show", action="store_true", help="print how each one ended")
    options = parser.parse_args()
    _warm()
    total = wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        template = options.template or Path(folder, "template")
        scene = template.with_name(f"{template.name}-scene")
        if not template.exists():  # paths are remembered, so it is made where it is used
            make_template(scene)
            scene.rename(template)
        stage = Stage(template, scene)
        for turn, around in enumerate(SURROUNDINGS):
            if options.fault not in around.name:
                continue
            ends: Counter[int] = Counter()
            for command in COMMANDS[turn % options.every :: options.every]:
                name = " ".join(command)
                is_left = options.quick and command[0] in _SLOW
                if is_left or not name.startswith(options.command):
                    continue
                trial = stage.run(command, around)
                ends[trial.code] += 1
                fault = verdict(trial, around, stage.photos)
                total, wrong = total + 1, wrong + bool(fault)
                if fault or options.show:
                    print(
                        f"  {name} [{trial.code}, {trial.seconds:.1f} s]: "
                        f"{fault or _last(trial.told)}"
                    )
            counts = ", ".join(f"{count} with {code}" for code, count in sorted(ends.items()))
            print(f"{around.name}: {counts}", flush=True)
    print(f"{total} commands, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
