"""Photos to be moved, and what should become of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain_cli.datasets.moves import Move, MoveScript
from retrain_cli.images.examine import content_digest


@pytest.fixture
def script(tmp_path: Path) -> MoveScript:
    """Four photos of two classes, two to be relabelled, one of them to a taken name."""
    for name in ("ant/1.jpg", "ant/2.jpg", "bee/1.jpg", "bee/3.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    digest = {name: content_digest(name.encode()).hex() for name in ("ant/1.jpg", "bee/3.jpg")}
    moves = (
        Move("ant/1.jpg", "bee/1.jpg", False, digest["ant/1.jpg"], "looks like bee"),
        Move("bee/3.jpg", "bee/3.jpg", True, digest["bee/3.jpg"], "blank"),
    )
    return MoveScript(tmp_path / "photos", tmp_path / "quarantine", moves)
