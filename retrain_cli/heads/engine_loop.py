"""Many optimiser steps in one call of the engine: compiled where it compiles, eager elsewhere.

A step changes Keras variables in place. TensorFlow traces that into a graph with a loop in it; JAX
knows no such thing as a variable, so there their values are handed through the loop.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from retrain_cli.engine import load_keras, load_tensorflow

Tensor = Any
Sums = tuple[Tensor, Tensor]
Step = Callable[..., Sums]
Loop = Callable[..., Sums]


def make_loop(step: Step, variables: Sequence[Any]) -> Loop:
    """A function that takes one step for each batch of a block.

    Args:
        step: takes `(batch_size, width)` vectors, `(batch_size,)` labels and what else a step
            needs, changes the variables and returns two scalars.
        variables: every Keras variable that the step changes.

    Returns:
        A function of a table `(n_rows, width)`, of places in it `(n_steps, batch_size)`, of the
        labels `(n_steps, batch_size)` and of what else each step needs, `(n_steps, ...)`, which
        returns the sums of the steps' scalars.
    """
    engine = load_keras().backend.backend()
    if engine == "jax":
        return _jax_loop(step, variables)
    loop = _in_place_loop(step)
    if engine == "tensorflow":
        # XLA gains nothing here: compiling takes as long as a thousand steps.
        compiled: Loop = load_tensorflow().function(loop, autograph=False, reduce_retracing=True)
        return compiled
    return loop


def _in_place_loop(step: Step) -> Loop:
    ops = load_keras().ops

    def loop(table: Tensor, places: Tensor, *of_steps: Tensor) -> Sums:
        def one(index: Tensor, sums: Sums) -> Sums:
            first, second = step(*_batch(table, places, of_steps, index))
            return sums[0] + first, sums[1] + second

        sums: Sums = ops.fori_loop(0, ops.shape(places)[0], one, _zeros())
        return sums

    return loop


def _jax_loop(step: Step, variables: Sequence[Any]) -> Loop:
    jax = importlib.import_module("jax")  # an engine of the user's choice, no dependency
    keras = load_keras()
    ops = keras.ops

    def pure(values: Any, table: Tensor, places: Tensor, *of_steps: Tensor) -> Any:
        def one(index: Tensor, carried: Any) -> Any:
            values, first_sum, second_sum = carried
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping) as scope:
                first, second = step(*_batch(table, places, of_steps, index))
            changed = tuple(scope.get_current_value(variable) for variable in variables)
            return changed, first_sum + first, second_sum + second

        return ops.fori_loop(0, places.shape[0], one, (values, *_zeros()))

    compiled = jax.jit(pure)

    def loop(table: Tensor, places: Tensor, *of_steps: Tensor) -> Sums:
        before = tuple(variable.value for variable in variables)
        after, first, second = compiled(before, table, places, *of_steps)
        for variable, value in zip(variables, after, strict=True):
            variable.assign(value)
        return first, second

    return loop


def _zeros() -> Sums:
    ops = load_keras().ops
    return ops.zeros((), "float32"), ops.zeros((), "float32")


def _batch(
    table: Tensor, places: Tensor, of_steps: Sequence[Tensor], index: Tensor
) -> tuple[Tensor, ...]:
    ops = load_keras().ops
    vectors = ops.take(table, ops.take(places, index, axis=0), axis=0)
    return vectors, *(ops.take(one, index, axis=0) for one in of_steps)
