"""`retrain` as a fork of a process that has loaded it: as in a process of its own, but at once.

Starting Python and importing the package is most of what a short command takes, and the tests start
hundreds. The process that forks has run nothing; it holds the modules that commands import when
they need them, TensorFlow excepted, whose threads would not survive.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from helpers import LIMIT, RETRAIN, Outcome

_LIBRARIES = ("numpy", "scipy.optimize", "scipy.special", "scipy.stats", "PIL.Image", "jinja2")


class ForkingProcess:
    """Starts `retrain` by forking; one command at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            paths = os.pathsep.join(sys.path)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "forked_command", str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": paths},
                pass_fds=[theirs.fileno()],
            )
        ours.settimeout(LIMIT)
        self._socket = ours
        self._answers = ours.makefile("r")

    def run(
        self, arguments: list[str], folder: Path, environment: dict[str, str], stdin: bytes = b""
    ) -> Outcome:
        """Run `retrain` to its end, with files as its standard streams."""
        with (
            tempfile.NamedTemporaryFile() as given,
            tempfile.NamedTemporaryFile() as out,
            tempfile.NamedTemporaryFile() as errors,
        ):
            given.write(stdin)
            given.flush()
            streams = [given.name, out.name, errors.name]
            request = {
                "arguments": arguments,
                "folder": str(folder),
                "environment": environment,
                "streams": streams,
            }
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            code = int(self._answers.readline())
            return Outcome(code, out.read().decode(), errors.read().decode())

    def close(self) -> None:
        """End the process; it has nothing to keep."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


def main() -> None:
    """Load everything, then fork for each request until the other end is gone."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    _load()
    with connection, connection.makefile("r") as requests:
        for line in requests:
            child = os.fork()
            if child == 0:
                _be_the_command(json.loads(line))
            _, status = os.waitpid(child, 0)
            connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _load() -> None:
    import retrain_cli
    from retrain_cli.engine import load_openvino

    for name in _LIBRARIES:
        import_module(name)
    for module in pkgutil.walk_packages(retrain_cli.__path__, "retrain_cli."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    load_openvino()
    assert not {"tensorflow", "keras"} & sys.modules.keys()
    gc.freeze()


def _be_the_command(request: dict[str, Any]) -> None:
    """Become `retrain` with these arguments; does not return."""
    code: Any = 1
    try:
        for number, name in enumerate(request["streams"]):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND
            os.dup2(os.open(name, flags), number)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = [str(RETRAIN), *request["arguments"]]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from retrain_cli.cli.main import main as retrain

        retrain()
        code = 0
    except SystemExit as left:
        code = left.code
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(bool(code)))


if __name__ == "__main__":
    main()
