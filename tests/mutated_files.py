"""Files of a run with something wrong in their structure: each mutation can be made again."""

from __future__ import annotations

import copy
import csv
import io
import json
import os
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    3.5,
    1e308,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../../x",
    "\udc80\x1b[31m",
    "9" * 5000,
    [],
    {},
    [[]],
    [None],
    ["a", "b"],
    {"a": None},
    {"": {}},
)


def mutate(path: Path, seed: int) -> str:
    """Change a file in one place; returns in words what was changed."""
    dice = random.Random(seed)
    if dice.random() < 0.15:
        return _mutate_any(path, dice)
    kinds: dict[str, Callable[[Path, random.Random], str]] = {
        ".json": _mutate_json,
        ".npz": _mutate_npz,
        ".csv": _mutate_csv,
    }
    return kinds[path.suffix](path, dice)


def _mutate_any(path: Path, dice: random.Random) -> str:
    data = path.read_bytes()
    what = dice.choice(
        ("gone", "empty", "cut", "bit", "pipe", "folder", "device", "spliced", "nuls")
    )
    path.unlink()
    if what == "empty":
        path.touch()
    elif what == "cut":
        path.write_bytes(data[: dice.randrange(len(data))])
    elif what == "bit":
        place = dice.randrange(len(data))
        flipped = bytes([data[place] ^ 1 << dice.randrange(8)])
        path.write_bytes(data[:place] + flipped + data[place + 1 :])
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "spliced":
        place = dice.randrange(len(data))
        path.write_bytes(data[place:] + data[:place])
    elif what == "nuls":
        path.write_bytes(bytes(len(data)))
    return what


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in a JSON document."""
    yield way
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, one in inner:
        yield from places(one, (*way, key))


def _mutate_json(path: Path, dice: random.Random) -> str:
    document = json.loads(path.read_text(encoding="utf-8"))
    way = dice.choice(list(places(document)))
    new = copy.deepcopy(dice.choice(_VALUES))
    if not way:
        path.write_text(json.dumps(new))
        return f"all is {new!r:.30}"
    owner = document
    for key in way[:-1]:
        owner = owner[key]
    what = dice.choice(("value", "value", "value", "gone", "more", "neighbour", "deep"))
    if what == "gone":
        del owner[way[-1]]
    elif what == "more" and isinstance(owner, dict):
        owner["more"] = new
    elif what == "neighbour":
        keys = list(owner) if isinstance(owner, dict) else range(len(owner))
        owner[way[-1]] = owner[dice.choice(list(keys))]
    elif what == "deep":
        owner[way[-1]] = "DEEP"
    else:
        owner[way[-1]] = new
    text = json.dumps(document).replace('"DEEP"', "[" * 3000 + "]" * 3000)
    path.write_text(text)
    return f"{what} at {'.'.join(map(str, way))}: {new!r:.30}"


def _mutate_npz(path: Path, dice: random.Random) -> str:
    with np.load(path) as saved:
        arrays = {name: saved[name] for name in saved.files}
    name = dice.choice(sorted(arrays))
    array = arrays[name]
    what, changed = dice.choice(list(_changed_arrays(array, dice)))
    if what == "packed":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for one, value in arrays.items():
                archive.writestr(f"{one}.npy", _npy(value) if one != name else bytes(1 << 26))
    elif what == "claims":
        with zipfile.ZipFile(path, "w") as archive:
            for one, value in arrays.items():
                data = _npy(value)
                if one == name:
                    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**14},)}}\n"
                    length = len(header).to_bytes(2, "little")
                    data = b"\x93NUMPY\x01\x00" + length + header.encode()
                archive.writestr(f"{one}.npy", data)
    elif changed is None:
        del arrays[name]
        np.savez(path, **arrays)
    else:
        arrays[name] = changed
        np.savez(path, **arrays)
    return f"{name} {what}"


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


def _changed_arrays(array: Any, dice: random.Random) -> Iterator[tuple[str, Any]]:
    yield "gone", None
    yield "packed", None
    yield "claims", None
    yield "empty", array.ravel()[:0]
    yield "scalar", np.array(7)
    yield "text", np.array(["x"] * max(1, array.size))
    yield "bytes", np.array([b"x"] * max(1, array.size))
    yield "complex", np.full(array.shape, 1j)
    yield "flags", np.ones(array.shape, bool)
    yield "dates", np.zeros(array.shape, "datetime64[s]")
    yield "records", np.zeros(array.shape, [("a", "i4")])
    yield "one more extent", array[None]
    yield "turned over", array.T
    if array.ndim and len(array):
        yield "shorter", array[:-1]
        yield "longer", np.concatenate([array, array[-1:]])
    if array.dtype.kind in "iuf":
        for value in (-1, 0, 1, 3, 255, 2**31 - 1, -(2**63), 2**63 - 1):
            changed = array.astype(np.int64).copy()
            changed.reshape(-1)[dice.randrange(max(1, array.size)) if array.size else ...] = value
            yield f"a {value}", changed
        for number in (np.nan, np.inf, -np.inf, 1e308, -1e308, 0.5):
            changed = array.astype(np.float64).copy()
            changed.reshape(-1)[dice.randrange(max(1, array.size)) if array.size else ...] = number
            yield f"a {number}", changed


def _mutate_csv(path: Path, dice: random.Random) -> str:
    rows = list(csv.reader(path.read_text().splitlines()))
    row = dice.randrange(len(rows))
    cell = dice.randrange(len(rows[row]))
    value = dice.choice(
        ("", "x", "nan", "inf", "-1", "9" * 5000, "\x00", '"', "1e999", "\u0663", "1_0")
    )
    what = dice.choice(("cell", "cell", "gone", "more", "long"))
    if what == "gone":
        del rows[row][cell]
    elif what == "more":
        rows[row].append(value)
    else:
        rows[row][cell] = value if what == "cell" else "x" * 200_000
    path.write_text("\n".join(",".join(cells) for cells in rows) + "\n")
    return f"{what} {row}.{cell} {value!r:.20}"
