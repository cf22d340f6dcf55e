"""Run the notebook of docs/notebooks anew, and keep what it shows.

    python tools/make_notebook.py

It runs in a folder of its own, beside nothing but the sample photos; the test of the notebook does
the same and throws away what it shows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
NOTEBOOK = PROJECT / "docs" / "notebooks" / "from_folder_to_export.ipynb"
_SECONDS = 600
"""For one cell, at most."""

_SHOWN_FOLDER = "/home/ada"
"""In place of the folder that it ran in, which is another one each time."""


def run_notebook(path: Path, folder: Path, instead: Mapping[str, str] | None = None) -> Any:
    """Run a notebook in a folder.

    Args:
        path: the notebook.
        folder: where it runs; `sample_images` is put there.
        instead: of some texts of its code, what stands there in place of them.

    Returns:
        The notebook with what it shows.

    Raises:
        CellExecutionError: a cell fails.
    """
    import nbformat
    from nbclient import NotebookClient

    (folder / "sample_images").symlink_to(PROJECT / "sample_images")
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for text, other in (instead or {}).items():
            cell.source = cell.source.replace(text, other)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=_SECONDS, resources=resources).execute()
    return notebook


def _without_traces(notebook: Any, folder: Path) -> str:
    """The notebook as text, without times, identifiers and folders that change each time."""
    import nbformat

    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("execution", None)
    text: str = nbformat.writes(notebook)
    return text.replace(str(folder), _SHOWN_FOLDER) + "\n"


def main() -> None:
    """Run the notebook and write it back."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        text = _without_traces(run_notebook(NOTEBOOK, folder), folder)
    NOTEBOOK.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
