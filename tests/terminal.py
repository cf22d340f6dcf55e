"""A command at a terminal of its own, as somebody who sits in front of it sees it."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers import RETRAIN, heed_signals, wait_for


class Terminal:
    """A running `retrain` and what it has shown so far.

    Args:
        arguments: of the command.
        folder: where it runs.
        environment: of the process.
    """

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._keyboard, its_end = pty.openpty()
        fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        os.set_blocking(self._keyboard, False)
        self._shown = b""
        self._is_open = True
        self.process = subprocess.Popen(
            [str(RETRAIN), *arguments],
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
            cwd=folder,
            env=environment | {"TERM": "xterm"},
            preexec_fn=_own_the_terminal,  # noqa: PLW1509 - this process has no other threads
        )
        os.close(its_end)

    def text(self) -> str:
        """Everything that was shown so far, without colours."""
        while self._is_open:
            try:
                piece = os.read(self._keyboard, 65536)
            except BlockingIOError:
                break
            except OSError as error:  # the other end is closed
                assert error.errno == errno.EIO
                break
            if not piece:
                break
            self._shown += piece
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._shown.decode(errors="replace"))

    def wait_until_done(self, least: int) -> int:
        """Wait until the progress bar shows at least so many; returns how many it shows."""

        def done() -> int:
            assert self.process.poll() is None, self.text()
            counts = re.findall(r"(\d+)/\d+", self.text())
            return int(counts[-1]) if counts and int(counts[-1]) >= least else 0

        return wait_for(done, f"{least} on the progress bar")

    def press_ctrl_c(self) -> None:
        """Press it, once."""
        os.write(self._keyboard, b"\x03")

    def hang_up(self) -> None:
        """Close the window."""
        os.close(self._keyboard)
        self._is_open = False

    def wait(self) -> int:
        """The exit code."""

        def ended() -> bool:
            self.text()  # or its output would fill the terminal's buffer
            return self.process.poll() is not None

        wait_for(ended, "the end of the command")
        return self.process.returncode


@contextmanager
def at_a_terminal(
    arguments: list[str], folder: Path, environment: dict[str, str]
) -> Iterator[Terminal]:
    """Run `retrain` at a terminal; whatever happens, it does not stay behind."""
    terminal = Terminal(arguments, folder, environment)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.process.wait()


def _own_the_terminal() -> None:
    heed_signals()
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
