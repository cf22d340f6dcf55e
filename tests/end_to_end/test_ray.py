"""A Ray cluster of this machine alone: the vectors of this process, bit by bit, and no chatter;
and a photo that kills who decodes it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers import LIMIT, PROJECT, TINY, Outcome, make_photos
from loopback import UNSUPPORTED
from odd_decoders import poison
from pytest import approx

from retrain_cli.cache.cache_files import cache_files
from retrain_cli.cache.store import open_to_read

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.usefixtures("warm"),
]


def in_one_ray(commands: list[list[str]], folder: Path) -> Outcome:
    """What the commands print, in a network of their own and a home of their own."""
    tests = PROJECT / "tests"
    paths = os.pathsep.join(map(str, [tests / "poisoned", tests, PROJECT, *sys.path]))
    home = tempfile.mkdtemp(prefix="ray")  # Ray's sockets need a short path
    programs = [str(PROJECT / "tests" / name) for name in ("loopback.py", "ray_here.py")]
    done = subprocess.run(
        [sys.executable, programs[0], sys.executable, programs[1], json.dumps(commands)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "HOME": home, "RAY_TMPDIR": home},
        capture_output=True,
        check=False,
        timeout=LIMIT,
    )
    shutil.rmtree(home, ignore_errors=True)
    if done.returncode == UNSUPPORTED:
        pytest.skip("this system gives nobody a network of his own")
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def rows_in(workspace: Path) -> list[tuple[bytes, bytes, int]]:
    (path,) = cache_files(workspace / "cache")
    with open_to_read(path) as store:
        return sorted(store.scan())


def test_the_same_vectors_and_the_same_labels(
    retrain: Callable[..., Outcome], tmp_path: Path
) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 40, "bee": 40})
    (photos / "ant" / "bad.jpg").write_bytes(b"no image")
    (photos / "bee" / "copy.png").write_bytes((photos / "bee" / "0003.png").read_bytes())
    local = tmp_path / "local"
    retrain("--workspace", local, "bottlenecks", photos, *TINY)
    retrain("--workspace", local, "train", "--optimizer", "ridge")
    half = ["--cache-dtype", "float16", "--json"]
    retrain("--workspace", tmp_path / "local-half", "bottlenecks", photos, *TINY, *half)
    fatal = make_photos(tmp_path / "fatal", {"ant": 40, "bee": 40})
    poison(fatal / "ant" / "0007.png")
    poison(fatal / "bee" / "0001.png")
    labels = ["--workspace", str(local), "label", str(photos), "--json"]
    done = in_one_ray(
        [
            ["bottlenecks", str(photos), *TINY, "--batch-size", "8", "--engine", "ray"],
            [*labels, "--batch-size", "8", "--engine", "ray"],
            ["--workspace", "half", "bottlenecks", str(fatal), *TINY, *half, "--engine", "ray"],
        ],
        tmp_path,
    )
    assert done.out.count("exit 0") == 3, done
    assert "81 images in 2 classes, 0 cached, 81 computed, 1 skipped" in done.out
    assert rows_in(tmp_path / ".retrain") == rows_in(local)
    assert not list((tmp_path / ".retrain" / "parts").iterdir())
    by_ray = [line for line in done.out.splitlines() if line.startswith('{"path"')]
    for mine, theirs in zip(by_ray, retrain(*labels).out.splitlines(), strict=True):
        by_one, by_other = json.loads(mine), json.loads(theirs)  # heads sum up in larger batches
        assert (by_one["path"], by_one.get("error")) == (by_other["path"], by_other.get("error"))
        for one, other in zip(by_one["labels"], by_other["labels"], strict=True):
            assert one["label"] == other["label"]
            assert one["score"] == approx(other["score"], abs=1e-6)
    ours = ("warning: ", "next: ", "bottlenecks: ", "labelling: ", "1 exact duplicate", "error: ")
    assert [line for line in done.err.splitlines() if not line.startswith(ours)] == []

    again = retrain("bottlenecks", photos, *TINY, "--json").json
    assert (again["cached"], again["computed"]) == (81, 0)

    bad = json.loads(done.out.split("exit 0\n")[2])["bad"]
    assert [one["path"] for one in bad] == ["ant/0007.png", "bee/0001.png"]
    assert {one["reason"] for one in bad} == {"its decoder crashed (SIGSEGV)"}
    sound = rows_in(tmp_path / "half")
    assert len(sound) == 78
    assert set(sound) < set(rows_in(tmp_path / "local-half"))
