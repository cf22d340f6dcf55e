"""A name says which thing is meant."""

from __future__ import annotations

import ast
from collections import Counter

from helpers import PROJECT

PACKAGE = PROJECT / "retrain_cli"


def test_no_two_classes_share_a_name() -> None:
    names = Counter(
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_the_classifier_of_the_backbone_has_one_name() -> None:
    """The source head; "stock" is left as the name of the study that looks at it."""
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defined = (ast.ClassDef, ast.FunctionDef)
        names = [node.name for node in ast.walk(tree) if isinstance(node, defined)]
        odd = [name for name in names if "stock" in name.lower()]
        assert set(odd) <= {"StockStudy", "_stock"}, path
