"""`retrain study NAME`: a command for each file of `studies/protocols`, with its own options.

`with_common_options` adds the options that all studies have, runs the study and shows its result.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from retrain_cli.cli.context import numbers, workspace_of
from retrain_cli.cli.study_options import with_common_options

if TYPE_CHECKING:
    from retrain_cli.studies.catalogue import StudyOption
    from retrain_cli.studies.study import Study

_SIZES = tuple[int, ...]


class StudyGroup(TyperGroup):
    """`retrain study`; its sub-commands are made when they are first asked for."""

    _made: dict[str, Any]

    @property
    def commands(self) -> Any:
        """The command of each study, by its name."""
        if not self._made:
            self._made = study_commands()
        return self._made

    @commands.setter
    def commands(self, empty: Any) -> None:  # the base class has none yet when it is made
        self._made = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the catalogue."""
        return list(self.commands)


app = typer.Typer(
    cls=StudyGroup,
    help="Run the paper's experiments on your own photos: how effective is transfer learning here?",
    no_args_is_help=True,
)


@app.callback()
def _only_a_group() -> None:
    """Typer takes an application without any command for a mistake."""


def study_commands() -> dict[str, Any]:
    """A command for each study of the catalogue, by its name."""
    from retrain_cli.studies.catalogue import find_studies

    made = typer.Typer()
    made.callback()(_only_a_group)
    studies = find_studies()
    for name, study in studies.items():
        made.command(name)(with_common_options(_maker(study)))
    commands = typer.main.get_command(made).commands  # type: ignore[attr-defined]
    return {name: commands[name] for name in studies}


def _maker(study: type[Study]) -> Callable[..., Study]:
    """A function of the study's options that makes it; Typer reads options from its signature."""
    from retrain_cli.studies.catalogue import help_of, options_of
    from retrain_cli.workflows.study import make_study

    options = options_of(study)

    def make(ctx: typer.Context, **values: Any) -> Study:
        chosen = {one.name: _value(one, values[one.name]) for one in options}
        return make_study(study, workspace_of(ctx), **chosen)

    make.__name__, make.__doc__ = study.name, help_of(study)
    make.__annotations__ = {"ctx": typer.Context} | {one.name: _typed(one) for one in options}
    make.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter("ctx", Parameter.KEYWORD_ONLY),
            *(
                Parameter(one.name, Parameter.KEYWORD_ONLY, default=_shown_default(one))
                for one in options
            ),
        ]
    )
    return make


def _typed(option: StudyOption) -> Any:
    """The type of an option, as Typer wants it; sizes are text such as 3,5,10."""
    is_sizes = option.kind == _SIZES
    kind = str | None if is_sizes else option.kind
    about = typer.Option(option.flag, help=option.meaning, show_default=not is_sizes)
    return Annotated[kind, about]


def _shown_default(option: StudyOption) -> Any:
    return None if option.kind == _SIZES else option.default


def _value(option: StudyOption, given: Any) -> Any:
    if option.kind != _SIZES:
        return given
    return option.default if given is None else numbers(given, option.flag)
