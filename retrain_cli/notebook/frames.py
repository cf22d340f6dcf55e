"""Tables as data frames of pandas, where that is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retrain_cli.errors import MissingExtraError

if TYPE_CHECKING:
    from pandas import DataFrame


def frame(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> DataFrame:
    """A data frame of rows that have a value for each column.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise MissingExtraError("the data frames of to_frame()", "notebook") from error
    made: DataFrame = DataFrame([list(row) for row in rows], columns=list(columns))
    return made
