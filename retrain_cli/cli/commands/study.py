"""`retrain study NAME`: a command for each file of `studies/protocols`, with its own options.

`conduct` has the options that all studies have, runs the study and shows its result.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

import typer

from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.grammar import Group, RetrainCommand
from retrain_cli.cli.signatures import SomeFields, chained
from retrain_cli.cli.study_options import conduct, conduct_freezing, conduct_networks

if TYPE_CHECKING:
    from retrain_cli.studies.study import Study


class StudyGroup(Group):
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
    add_completion=False,
    help="Run the paper's experiments on your own photos: how effective is transfer learning here?",
    no_args_is_help=True,
)


@app.callback()
def _only_a_group() -> None:
    """Typer takes an application without any command for a mistake."""


def study_commands() -> dict[str, Any]:
    """A command for each study of the catalogue, by its name."""
    from retrain_cli.studies.catalogue import find_studies
    from retrain_cli.studies.protocols.freeze import FreezeStudySettings

    made = typer.Typer()
    made.callback()(_only_a_group)
    studies = find_studies()
    for name, study in studies.items():
        use: Callable[..., None] = conduct if study.trains_heads else conduct_networks
        use = conduct_freezing if study.settings_kind is FreezeStudySettings else use
        made.command(name, cls=RetrainCommand)(chained(_maker(study), use))
    commands = typer.main.get_command(made).commands  # type: ignore[attr-defined]
    return {name: commands[name] for name in studies}


def _maker(study: type[Study]) -> Callable[..., Study]:
    """A function of the study's options that makes it; Typer reads options from its signature."""
    from retrain_cli.studies.catalogue import help_of, options_of
    from retrain_cli.workflows.study import make_study

    options = SomeFields(study, [one.name for one in options_of(study)])

    def make(ctx: typer.Context, **values: Any) -> Study:
        return make_study(study, workspace_of(ctx), **options.make(values))

    make.__name__, make.__doc__ = study.name, help_of(study)
    parameters = options.parameters()
    make.__annotations__ = {"ctx": typer.Context} | {one.name: one.annotation for one in parameters}
    make.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter("ctx", Parameter.KEYWORD_ONLY), *parameters]
    )
    return make
