"""`retrain advise`."""

from __future__ import annotations

from typing import Annotated

import typer

from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import JsonForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.workflows.transfer.advise import AdviceRequest


@command
def advise(ctx: typer.Context, request: Annotated[AdviceRequest, Fields()], form: JsonForm) -> None:
    """Say which strategy fits your photos: a head on the top or lower, or fine-tuning.

    Looks at the cached bottlenecks alone and trains nothing: how many photos there are of a class,
    and how much they are like those that the backbone was made for. It may be wrong, and says how
    often it was; `retrain study strategies` measures it on your photos.
    """
    from retrain_cli.cli.views.advise import show_advice
    from retrain_cli.workflows.transfer.advise import advise

    show_advice(advise(request, workspace_of(ctx)), form)
