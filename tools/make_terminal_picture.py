"""Write docs/terminal.svg: the main job on the sample images, as a terminal shows it.

    python tools/make_terminal_picture.py

Each command really runs, in a pseudo-terminal, in a workspace that is thrown away.
"""

from __future__ import annotations

import io
import os
import pty
import re
import struct
import sys
import tempfile
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

from rich.console import Console
from rich.text import Text

PROJECT = Path(__file__).resolve().parent.parent
TARGET = PROJECT / "docs" / "terminal.svg"
COLUMNS, LINES = 104, 50
BAR = "━━━"
MOVEMENT = re.compile(r"\x1b\[\??\d*[A-HJKhl]")
COLOUR = re.compile(r"\x1b\[[\d;]*m")  # a bar has several
COMMANDS = (
    "retrain bottlenecks sample_images --backbone efficientnet_lite0",
    "retrain train --steps 2000 --testing-percentage 30 --name first",
    "retrain eval --top5",
    "retrain label sample_images/{daisy,snowman,soccer_ball}/*_02.jpg --top-k 3",
)


def run_in_terminal(command: str, workspace: Path) -> str:
    """Run a command in a pseudo-terminal; returns what was left on the screen, with colours."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(PROJECT)
        os.environ |= {"RETRAIN_WORKSPACE": str(workspace), "TERM": "xterm-256color"}
        os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        os.execvp("bash", ["bash", "-c", command])
    ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    output = b""
    try:
        while piece := os.read(terminal, 1 << 16):
            output += piece
    except OSError:  # how Linux reports the end of a pseudo-terminal
        pass
    _, status = os.waitpid(process, 0)
    if status:
        sys.exit(f"{command} failed:\n{output.decode(errors='replace')}")
    return without_progress(output.decode())


def without_progress(text: str) -> str:
    """Drop what a progress bar drew and took away again, and every movement of the cursor."""
    lines = text.replace("\r\n", "\n").split("\n")
    shown = [MOVEMENT.sub("", line.rsplit("\x1b[2K", 1)[-1]).lstrip("\r") for line in lines]
    return "\n".join(line for line in shown if BAR not in COLOUR.sub("", line)).strip("\n")


def main() -> None:
    """Run the commands and export the record."""
    record = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            record.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            record.print(Text.from_ansi(run_in_terminal(command, Path(folder))))
            record.print()
    TARGET.write_text(record.export_svg(title="retrain"), encoding="utf-8")


if __name__ == "__main__":
    main()
