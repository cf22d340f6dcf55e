"""Write the sample images of the repository, or check that they are what the generator draws.

    python tools/make_sample_images.py            # writes sample_images/
    python tools/make_sample_images.py --check    # exits 1 when they differ

Pictures are compared, not bytes: another build of libjpeg or NumPy may differ in the last bit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from retrain_cli.errors import RetrainError
from retrain_cli.samples import write_sample_images

FOLDER = Path(__file__).resolve().parent.parent / "sample_images"
TOLERANCE = 1.0  # mean difference of a picture's 8-bit values


def main() -> int:
    """Run the tool; returns its exit status."""
    parser = argparse.ArgumentParser(description="Write or check the sample images.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    options = parser.parse_args()
    try:
        return check(options.folder) if options.check else write(options.folder)
    except RetrainError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def write(folder: Path) -> int:
    """Write the images and say how many and how large they are."""
    paths = write_sample_images(folder)
    size = sum(path.stat().st_size for path in paths)
    print(f"{folder}: {len(paths)} images, {size / 1e6:.2f} MB")
    return 0


def check(folder: Path) -> int:
    """Compare the folder with what the generator draws now; prints each file that differs."""
    with tempfile.TemporaryDirectory() as fresh:
        names = {path.relative_to(fresh) for path in write_sample_images(Path(fresh))}
        there = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        stale = names ^ there
        stale |= {name for name in names & there if differs(folder / name, Path(fresh) / name)}
    for name in sorted(stale):
        print(f"{folder / name} is not what the generator draws", file=sys.stderr)
    if stale:
        print("write them anew: python tools/make_sample_images.py", file=sys.stderr)
    return 1 if stale else 0


def differs(committed: Path, fresh: Path) -> bool:
    """Whether two files show different pictures, or are stored in different forms."""
    if committed.read_bytes() == fresh.read_bytes():
        return False
    try:
        with Image.open(committed) as first, Image.open(fresh) as second:
            if (first.size, first.mode, first.getexif()) != (
                second.size,
                second.mode,
                second.getexif(),
            ):
                return True
            pictures = np.asarray(first, np.float32), np.asarray(second, np.float32)
    except OSError:  # the broken sample: its bytes are all there is to compare
        return committed.stat().st_size != fresh.stat().st_size
    return float(np.abs(pictures[0] - pictures[1]).mean()) > TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
