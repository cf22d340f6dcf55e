"""Options are made of the requests' fields: one default, one list of choices, one wording."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer.main
from commands import EVERY, parameters
from helpers import PROJECT
from typer.testing import CliRunner

import retrain_cli as rt
from retrain_cli.checks import choices_of
from retrain_cli.cli import console
from retrain_cli.cli.commands import COMMANDS
from retrain_cli.cli.main import app, exit_codes
from retrain_cli.cli.options import FORM_HELP, SHARED
from retrain_cli.cli.signatures import Fields, default_of, option_name
from retrain_cli.errors import ConfigError, RetrainError, setting
from retrain_cli.flags import flag_of
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.catalogue import find_studies, options_of
from retrain_cli.studies.study import NetworkStudySettings, Study, StudySettings
from retrain_cli.workflows.classes import SuggestRequest
from retrain_cli.workflows.demo import DemoRequest
from retrain_cli.workflows.evaluate import ChartRequest
from retrain_cli.workflows.similar import SimilarRequest

REQUESTS: dict[str, tuple[type, ...]] = {
    "bottlenecks": (rt.BottleneckRequest,),
    "train": (rt.TrainRequest,),
    "finetune": (rt.FinetuneRequest,),
    "search": (rt.SearchRequest,),
    "eval": (rt.EvalRequest, ChartRequest),
    "label": (rt.LabelRequest, rt.SortRequest),
    "watch": (rt.WatchRequest, rt.LabelRequest),
    "explain": (rt.ExplainRequest,),
    "export": (rt.ExportRequest,),
    "bundle": (rt.BundleRequest,),
    "serve": (rt.ServeRequest,),
    "report": (rt.ReportRequest,),
    "check": (rt.CheckRequest,),
    "similar": (SimilarRequest,),
    "classes": (SuggestRequest,),
    "add-class": (rt.AddClassRequest,),
    "signals": (rt.SignalRequest,),
    "demo": (DemoRequest,),
    "advise": (rt.AdviceRequest,),
    "dataset split": (rt.SimilaritySplitRequest,),
    **{
        f"study {name}": (
            study,
            study.settings_kind or (StudySettings if study.trains_heads else NetworkStudySettings),
        )
        for name, study in find_studies().items()
    },
}
NO_OPTIONS = {
    "BackboneSpec.crop",
    "BackboneSpec.model",
    "BottleneckRequest.validation_percentage",
    "BottleneckRequest.testing_percentage",
    "SearchRequest.axes",  # an option for each setting
    "EvalRequest.ks",  # made of --top5 and --top-k
}
"""Fields that the command line does not set by one option."""


def fields_of(owner: type) -> Iterator[tuple[type, dataclasses.Field[Any], Any]]:
    """The fields that are options, with those of the dataclasses within."""
    hints = get_type_hints(owner)
    chosen = {one.name for one in options_of(owner)} if issubclass(owner, Study) else None
    for field in dataclasses.fields(owner):
        if dataclasses.is_dataclass(hints[field.name]) and chosen is None:
            yield from fields_of(hints[field.name])
        elif chosen is None or field.name in chosen:
            yield owner, field, hints[field.name]


def is_searched(path: str, owner: type, field: str) -> bool:
    """Whether the option takes values to try, in place of one: see tests/cli/test_search.py."""
    from retrain_cli.studies.search.axes import searchable

    return path == "search" and owner is TrainingConfig and field in searchable()


def study_leaves_out(path: str, owner: type, field: str) -> bool:
    from retrain_cli.cli.study_options import _NOT_ASKED, _OF_HEADS

    if not path.startswith("study ") or not issubclass(owner, TrainingConfig):
        return False
    study = find_studies()[path.removeprefix("study ")]
    if study.settings_kind is not None and field.endswith("_percentage"):
        return False
    return field in (_NOT_ASKED if study.trains_heads else _OF_HEADS)


CASES = [
    pytest.param(path, owner, field, hint, id=f"{path}-{owner.__name__}.{field.name}")
    for path, owners in REQUESTS.items()
    for request in owners
    for owner, field, hint in fields_of(request)
    if f"{owner.__name__}.{field.name}" not in NO_OPTIONS
    and not study_leaves_out(path, owner, field.name)
    and not is_searched(path, owner, field.name)
]


def test_every_command_with_a_request_is_looked_at() -> None:
    source = "\n".join(
        path.read_text() for path in (PROJECT / "retrain_cli/cli/commands").rglob("*.py")
    )
    named = set(re.findall(r"Annotated\[\s*(\w+(?:Request|Study|Settings)),", source))
    assert named == {
        one.__name__
        for path, some in REQUESTS.items()
        if not path.startswith("study ")
        for one in some
    }
    assert set(EVERY) >= set(REQUESTS)


@pytest.mark.parametrize(("path", "owner", "field", "hint"), CASES)
def test_a_field_is_an_option_with_its_default(
    path: str, owner: type, field: dataclasses.Field[Any], hint: Any
) -> None:
    option = parameters(EVERY[path])[option_name(owner, field.name)]
    default = default_of(field)
    if default is inspect.Parameter.empty:
        assert option.required
    else:
        assert (option.default or None) == (default or None), "() is an option not given"
    if option.param_type_name == "option":
        assert flag_of(field.name, owner) in option.opts


@pytest.mark.parametrize(
    ("path", "owner", "field", "hint"), [case for case in CASES if choices_of(case.values[3])]
)
def test_choices_are_completed_and_listed_once(
    path: str, owner: type, field: dataclasses.Field[Any], hint: Any
) -> None:
    flag, choices = flag_of(field.name, owner), choices_of(hint)
    option = parameters(EVERY[path])[option_name(owner, field.name)]
    words = re.split(r"[^\w-]+", option.help)
    assert option.help.endswith((f" One of {', '.join(choices)}.", f" Takes {choices[0]}."))
    assert {choice: words.count(choice) > 0 for choice in choices} == dict.fromkeys(choices, True)
    assert completions(f"retrain {path} {flag} ") == list(choices)


def completions(line: str) -> list[str]:
    """What bash offers after a line."""
    words = line.split(" ")
    variables = {
        "_RETRAIN_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = CliRunner().invoke(app, [], prog_name="retrain", env=variables)
    return done.output.split()


@pytest.mark.parametrize("path", EVERY)
def test_every_option_has_help_and_shared_ones_the_same(path: str) -> None:
    for name, parameter in parameters(EVERY[path]).items():
        assert parameter.help and parameter.help[0] != " ", name
        assert parameter.help.rstrip(")").endswith((".", "file.")), name
        if name in FORM_HELP:
            assert parameter.help == FORM_HELP[name]
        if name in ("device", "workers", "readers") and not path.startswith(("study", "search")):
            assert parameter.help.startswith(str(SHARED[name]))


def listen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The errors that are printed from here on."""
    said: list[str] = []
    monkeypatch.setattr(console, "error", said.append)
    return said


@pytest.mark.parametrize(
    ("path", "owner", "field", "hint"), [case for case in CASES if choices_of(case.values[3])]
)
def test_a_wrong_choice_is_wrong_usage(
    path: str,
    owner: type,
    field: dataclasses.Field[Any],
    hint: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = listen(monkeypatch)
    command = EVERY[path]
    needed = ["x" for one in command.params if one.param_type_name == "argument" and one.required]
    with pytest.raises(SystemExit) as left, exit_codes():
        command.make_context(path, [*needed, flag_of(field.name, owner), "xyzzy"])
    assert left.value.code == 2
    choices = ", ".join(choices_of(hint))
    expected = f"{flag_of(field.name, owner)} takes one of {choices}, not 'xyzzy'"
    assert said == [expected]


WRONG: list[tuple[Callable[[], Any], str, list[str]]] = [
    (lambda: TrainingConfig(steps=0).validate(), "steps", ["train", "--steps", "0"]),
    (lambda: TrainingConfig(l2=-1).validate(), "l2", ["train", "--l2", "-1"]),
    (lambda: TrainingConfig(epsilon=0).validate(), "epsilon", ["train", "--epsilon", "0"]),
    (lambda: rt.LabelRequest(top_k=0), "top_k", ["label", "x", "--top-k", "0"]),
    (lambda: rt.LabelRequest(batch_size=0), "batch_size", ["label", "x", "--batch-size", "0"]),
    (lambda: rt.LabelRequest(threshold=2), "threshold", ["label", "x", "--threshold", "2"]),
    (lambda: rt.LabelRequest(max_error=1), "max_error", ["label", "x", "--max-error", "1"]),
    (lambda: rt.LabelRequest(device="tpu"), "device", ["label", "x", "--device", "tpu"]),
    (lambda: SimilarRequest(k=0), "k", ["similar", "x", "-k", "0"]),
    (lambda: rt.ExtractionSettings(workers=0), "workers", ["bottlenecks", "x", "--workers", "0"]),
    (lambda: rt.ReportRequest(mistakes=-1), "mistakes", ["report", "--mistakes", "-1"]),
    (lambda: rt.ReportRequest(markdown=Path("a.txt")), "markdown", ["report", "--md", "a.txt"]),
    (lambda: rt.ReportRequest(html=Path("a.txt")), "html", ["report", "-o", "a.txt"]),
    (
        lambda: rt.BackboneSpec("inceptoin").resolve(),
        "BackboneSpec.name",
        ["bottlenecks", ".", "--backbone", "inceptoin"],
    ),
    (
        lambda: rt.BackboneSpec(weights="none.h5").resolve(),
        "weights",
        ["bottlenecks", ".", "--weights", "none.h5"],
    ),
    (
        lambda: rt.TrainRequest(TrainingConfig(), top=Path("a.h5")),
        "top",
        ["train", "--top", "a.h5"],
    ),
]


@pytest.mark.parametrize(("call", "field", "arguments"), WRONG, ids=[one for _, one, _ in WRONG])
def test_a_message_names_the_field_in_python_and_the_option_in_the_terminal(
    call: Callable[[], Any], field: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = listen(monkeypatch)
    with pytest.raises(RetrainError) as refused:
        call()
    told = str(refused.value)
    assert told.startswith(f"{field} ")
    assert "--" not in re.sub(r"`[^`]*`", "", told)
    with pytest.raises(SystemExit) as left:
        app(arguments, prog_name="retrain")
    assert left.value.code == refused.value.exit_code
    [line] = said
    owner = {"k": SimilarRequest, "markdown": rt.ReportRequest, "html": rt.ReportRequest}
    assert line.startswith(f"{flag_of(field, owner.get(field))} ")
    assert "\0" not in line + told


def test_a_value_that_is_advised_is_written_as_each_reader_types_it() -> None:
    error = ConfigError(f"use {setting('precision', 'float32')} or {setting('strict', True)}")
    assert str(error) == "use precision='float32' or strict=True"
    assert error.worded(flag_of) == "use --precision float32 or --strict"


def test_no_default_is_written_on_the_command_line() -> None:
    for path in (PROJECT / "retrain_cli/cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            marks = getattr(node, "decorator_list", [])
            if any(isinstance(mark, ast.Name) and mark.id == "command" for mark in marks):
                assert not node.args.defaults and not node.args.kw_defaults, node.name  # type: ignore[attr-defined]


def test_below_the_command_line_no_message_names_an_option() -> None:
    """Except within a command to type, which stands in backticks."""
    for path in sorted((PROJECT / "retrain_cli").rglob("*.py")):
        if "cli" in path.relative_to(PROJECT / "retrain_cli").parts[:-1]:
            continue
        for raised in ast.walk(ast.parse(path.read_text())):
            if isinstance(raised, ast.Raise) and raised.exc is not None:
                text = "".join(
                    part.value
                    for part in ast.walk(raised.exc)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                )
                assert not re.search(r"(?<![\w-])--[a-z]", re.sub(r"`[^`]*`", "", text)), path


def test_a_field_without_a_text_is_told() -> None:
    @dataclasses.dataclass(frozen=True)
    class Odd:
        wheels: int = 4

    with pytest.raises(LookupError, match=r"Odd\.wheels has no text"):
        list(Fields().options(Odd))
    assert [one.parameter().default for one in Fields(wheels="How many.").options(Odd)] == [4]


def test_commands_are_imported_when_they_are_used() -> None:
    code = (
        "import sys, typer.main\n"
        "from retrain_cli.cli.main import app\n"
        "typer.main.get_command(app).get_command(None, 'doctor')\n"
        "print([name for name in sys.modules if name.startswith('retrain_cli.cli.commands.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['retrain_cli.cli.commands.doctor']"


def test_the_list_of_commands_says_what_they_say_themselves() -> None:
    root: Any = typer.main.get_command(app)
    for name, entry in COMMANDS.items():
        assert root.get_command(None, name).get_short_help_str(limit=1000) == entry.summary
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert all(entry.summary in shown and entry.panel in shown for entry in COMMANDS.values())
