"""Each process of the tests, and each command that one starts, has about one processor.

To be imported before NumPy, which looks once how many threads it may have.
"""

from __future__ import annotations

import gc
import os
import sys

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
"""More only wait for each other; the fixture `default_threads` lets the libraries choose."""

for _name in THREADS:
    os.environ.setdefault(_name, "1")

# A thousand commands that each compile the package anew take minutes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# As the command does: to look for garbage among the objects of engines takes long.
gc.set_threshold(100_000, 20, 20)
