"""What stands in the page: hostile names are text, vendored code is what it says."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.reports.html import FOLDER, embedded_json
from retrain_cli.reports.markdown import escaped, table
from retrain_cli.reports.thumbnails import thumbnail

HOSTILE = '</script><script>alert(1)</script><b a="\'">&amp;\u2028'


@given(st.recursive(st.text() | st.floats(allow_nan=False, allow_infinity=False), st.lists))
def test_embedded_json_reads_back_and_holds_no_tag(value: Any) -> None:
    text = embedded_json([value, HOSTILE])
    assert json.loads(text) == [value, HOSTILE]
    assert not set("<>&") & set(text)
    assert text.isascii()


def test_vendored_files_are_the_published_ones() -> None:
    entries = re.findall(
        r'^\["(.+?)"\].*?^sha256 = "(\w{64})"', (FOLDER / "VENDORED.toml").read_text(), re.M | re.S
    )
    assert {name for name, _ in entries} == {path.name for path in FOLDER.glob("*.min.js")}
    for name, digest in entries:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest


def test_the_library_asks_for_nothing() -> None:
    """No address is fetched, and nothing ends the script element that it stands in."""
    library = (FOLDER / "chart.umd.min.js").read_text()
    assert "</script" not in library
    assert "importScripts" not in library
    assert "fetch(" not in library


def test_markdown_shows_markup_as_text() -> None:
    assert escaped("a|b*c_<d>") == r"a\|b\*c\_\<d\>"
    rows = list(table(["x"], [["a|b\n# c"]]))
    assert rows[-1] == r"| a\|b\\n\# c |"


def test_a_thumbnail_is_small_and_upright(tmp_path: Path) -> None:
    import base64
    import io

    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (600, 300), "red").save(tmp_path / "a.jpg", exif=exif)
    source = thumbnail((tmp_path / "a.jpg").read_bytes())
    head, _, data = source.partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (84, 168)


@pytest.mark.parametrize("name", ["report.css", "report.js"])
def test_our_own_files_name_no_address(name: str) -> None:
    assert "http" not in (FOLDER / name).read_text()
