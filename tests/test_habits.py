"""Habits of the tests themselves: they wait for what they can see, and can be read at a sitting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from helpers import PROJECT

TESTS = PROJECT / "tests"
MOST_LINES = 450


def files() -> list[Path]:
    found = sorted(TESTS.rglob("*.py"))
    assert len(found) > 100
    return found


def seconds_waited(tree: ast.AST) -> Iterator[int]:
    """Lines that sleep, or that wait for a number of seconds that is written there.

    A limit that has a name (`LIMIT`) is one for all, and generous.
    """
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        function = node.func.id if isinstance(node.func, ast.Name) else method
        waits = node.args[:1] if method in {"wait", "join"} else []
        waits += [keyword.value for keyword in node.keywords if keyword.arg == "timeout"]
        fixed = [value.value for value in waits if isinstance(value, ast.Constant)]
        if function == "sleep" or any(isinstance(value, int | float) for value in fixed):
            yield node.lineno


def test_no_test_waits_for_a_fixed_time() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{line}"
        for path in files()
        for line in seconds_waited(ast.parse(path.read_text(encoding="utf-8")))
        if path.name != "helpers.py"
    ]
    assert found == [], "wait for what can be seen: helpers.wait_for"


def test_what_counts_as_a_fixed_time() -> None:
    bad = (
        "time.sleep(1)",
        "sleep(x)",
        "thread.join(5)",
        "event.wait(0.1)",
        "run(timeout=60)",
        "queue.get(timeout=1.5)",
    )
    good = ("process.wait()", "', '.join(names)", "run(timeout=LIMIT)", "ready.wait(LIMIT)")
    assert all(list(seconds_waited(ast.parse(code))) == [1] for code in bad)
    assert not any(list(seconds_waited(ast.parse(code))) for code in good)


def test_test_files_stay_small() -> None:
    long = {
        str(path.relative_to(TESTS))
        for path in files()
        if path.read_text(encoding="utf-8").count("\n") > MOST_LINES
    }
    assert not long
