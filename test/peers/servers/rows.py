"""What the models of both servers do with a row: each row's answer follows from that row and nothing else."""

import numpy as np

ROWS_MAX = 64


class Refused(ValueError):
    """The model's own word for what it cannot take."""


def transformed(array: np.ndarray) -> np.ndarray:
    """A tensor of the same type and shape whose values tell which values went in, to the last bit."""
    if array.dtype == np.bool_:
        return np.logical_not(array)
    if np.issubdtype(array.dtype, np.integer):
        return np.invert(array)
    if np.issubdtype(array.dtype, np.floating):
        return (array * array.dtype.type(3) - array.dtype.type(1)).astype(array.dtype)
    flat = [b"<" + value + b">" for value in array.reshape(-1)]
    return np.array(flat, dtype=object).reshape(array.shape)


def check_strict(tensors: dict) -> None:
    """The strict model takes `x` of FP32 with four numbers a row, none of them negative, and not many rows at once."""
    if "x" not in tensors:
        raise Refused("input x is missing")
    x = tensors["x"]
    if x.dtype != np.float32:
        raise Refused("input x must be FP32")
    if x.ndim != 2 or x.shape[1] != 4:
        raise Refused("a row of x has four numbers")
    if len(x) > ROWS_MAX:
        raise Refused("too many rows")
    if (x < 0).any():
        raise Refused("a row of x is negative")


def row_sums(array: np.ndarray) -> np.ndarray:
    """One number a row, added in the order of its elements, so that it does not depend on the rows beside it."""
    rows = array.astype(np.float64).reshape(len(array), -1)
    total = np.zeros(len(rows))
    for column in range(rows.shape[1]):
        total = total + rows[:, column]
    return total
