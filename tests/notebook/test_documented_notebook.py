"""The notebook of the documentation runs from its first cell to its last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from make_notebook import NOTEBOOK, run_notebook


def html_of(cell: Any) -> str:
    return "".join(one.get("data", {}).get("text/html", "") for one in cell.get("outputs", []))


def test_the_notebook_runs(tmp_path: Path) -> None:
    """On small pictures, without a conversion of the network, so that it takes little time."""
    cheaper = {'"efficientnet_lite0"': '"efficientnet_lite0", input_size=64, runtime="keras"'}
    notebook = run_notebook(NOTEBOOK, tmp_path, cheaper)
    assert all(one in str(notebook) for one in cheaper.values())
    shown = "".join(map(html_of, notebook.cells))
    assert "<progress" in shown
    for title in ("bottlenecks of", "run head, on test", "run tuned", "3 photos", "exported"):
        assert title in shown, title
    assert "data:image/jpeg;base64," in shown


def test_what_is_kept_was_run_in_order_and_is_small() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [out for cell in code for out in cell.outputs if out.output_type == "error"]
    assert "/home/ada" in "".join(map(html_of, code))
    assert NOTEBOOK.stat().st_size < 1_000_000
