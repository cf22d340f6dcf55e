"""What a folder of photos holds before and after the moves of a small script."""

from __future__ import annotations

from pathlib import Path

AFTER = {
    "photos/ant/2.jpg": b"ant/2.jpg",
    "photos/bee/1.jpg": b"bee/1.jpg",
    "photos/bee/1-2.jpg": b"ant/1.jpg",
    "quarantine/bee/3.jpg": b"bee/3.jpg",
}


def contents(root: Path) -> dict[str, bytes]:
    """Every file that somebody can see, journals aside."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not any(_is_ours(part) for part in path.relative_to(root).parts)
    }


def _is_ours(part: str) -> bool:
    return part.startswith(("journals", ".retrain-draft-"))
