"""How SQLite files are opened, by several commands at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from helpers import LIMIT

OPENERS = 6
CODE = """
import sys
from pathlib import Path
from retrain_cli.database import connect
sys.stdin.readline()  # all start at the same time
for number in range(20):
    connect(Path(sys.argv[1]) / f"{number}.sqlite", "CREATE TABLE meta (x); CREATE TABLE more (y)")
"""


def test_a_file_that_several_commands_create_at_once_is_made_once(tmp_path: Path) -> None:
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", CODE, str(tmp_path)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(OPENERS)
    ]
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    assert [opener.communicate(timeout=LIMIT)[1] for opener in openers] == [""] * OPENERS
    assert len(list(tmp_path.glob("*.sqlite"))) == 20
