"""What is typed for a setting becomes values or a range, or is refused in one clear line."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from retrain_cli.errors import ConfigError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.search.axes import (
    EPOCHS,
    ONE_FOR_ALL,
    Choices,
    Span,
    read_axis,
    searchable,
    shown,
)


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("learning_rate", "0.001, 0.01,1e-3", (0.001, 0.01)),
        ("steps", "100", (100,)),
        ("hidden", "none,64,256+128", ((), (64,), (256, 128))),
        ("hidden", '64,"256,128"', ((64,), (256, 128))),
        ("l2", "none,0,0.001", (None, 0.0, 0.001)),
        ("optimizer", "adam,ridge", ("adam", "ridge")),
        ("activation", "relu,tanh", ("relu", "tanh")),
        ("normalise", "none,l2", ("none", "l2")),
        ("views", "0,4", (0, 4)),
        (EPOCHS, "10,30", (10, 30)),
    ],
)
def test_values_are_listed(name: str, text: str, values: tuple[Any, ...]) -> None:
    assert read_axis(name, text) == Choices(values)


@pytest.mark.parametrize(
    ("name", "text", "span"),
    [
        ("learning_rate", "0.0001..0.1", Span(0.0001, 0.1)),
        ("dropout", "0.1..0.5", Span(0.1, 0.5, even=True)),
        ("l2", "0..0.01", Span(0.0, 0.01, even=True)),
        ("steps", "100..1000", Span(100, 1000, whole=True)),
        ("hidden", "64..512", Span(64, 512, whole=True, in_tuple=True)),
    ],
)
def test_ranges_are_read(name: str, text: str, span: Span) -> None:
    assert read_axis(name, text) == span


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("learning_rate", "", "there is none"),
        ("learning_rate", ",", "there is none"),
        ("learning_rate", "fast", "takes numbers such as 0.001,0.01, or a range"),
        ("learning_rate", "nan", "takes numbers"),
        ("learning_rate", "1e999", "takes numbers"),
        ("learning_rate", "0", "must be a number above 0"),
        ("learning_rate", "0..0.1", "must be a number above 0"),
        ("learning_rate", "0.1..0.01", "goes up, and 0.1..0.01 does not"),
        ("learning_rate", "0.1..0.1", "goes up"),
        ("learning_rate", "..", "takes numbers"),
        ("learning_rate", "0.01,0.1..1", "either a range or values"),
        ("batch_size", "1.5", "takes whole numbers"),
        ("batch_size", "none", "takes whole numbers"),
        ("batch_size", "9" * 30, "at most"),
        ("hidden", "64++128", "takes whole numbers such as 32,64, or none"),
        ("hidden", "64..", "takes whole numbers"),
        ("dropout", "0.5..1", "must be at least 0 and below 1"),
        ("optimizer", "adam..sgd", "takes no range, for its values are no numbers"),
        ("optimizer", "adam,bfgs", "did you mean lbfgs"),
        ("activation", "swish", "takes one of relu"),
        ("epochs", "0", "must be from 1"),
        ("views", "-1", "at least 0"),
    ],
)
def test_what_cannot_be_tried_is_refused(name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_axis(name, text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_setting_is_varied_or_one_for_all() -> None:
    fields = {field.name for field in dataclasses.fields(TrainingConfig)}
    assert set(searchable()) - {EPOCHS} == fields - set(ONE_FOR_ALL)
    assert fields >= set(ONE_FOR_ALL)


@given(
    ends=some.tuples(some.floats(1e-6, 1e3), some.floats(1e-6, 1e3)).filter(lambda e: e[0] < e[1]),
    place=some.floats(0, 1),
    even=some.booleans(),
)
def test_what_is_drawn_lies_in_the_range(
    ends: tuple[float, float], place: float, even: bool
) -> None:
    span = Span(*ends, even=even)
    assert ends[0] <= span.at(place) <= ends[1]
    assert span.at(0) <= span.at(place) <= span.at(1)


@given(low=some.integers(1, 5000), more=some.integers(1, 5000), place=some.floats(0, 1))
def test_whole_numbers_stay_whole(low: int, more: int, place: float) -> None:
    (units,) = Span(low, low + more, whole=True, in_tuple=True).at(place)
    assert type(units) is int
    assert low <= units <= low + more


def test_ratios_are_equally_likely() -> None:
    span = Span(0.001, 0.1)
    assert span.at(0.5) == 0.01
    assert Span(0.0, 0.5, even=True).at(0.5) == 0.25


@pytest.mark.parametrize("text", ["none", "64", "256+128"])
def test_what_is_shown_is_what_is_typed(text: str) -> None:
    (value,) = read_axis("hidden", text).values
    assert shown(value) == text
