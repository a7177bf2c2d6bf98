"""Weights and data of the digits perceptron, as a user would bring them."""

from __future__ import annotations

from torch import Tensor

from sample_models import load


def weights(bias: float = 0.0) -> dict[str, Tensor]:
    """The shipped weights, with so much added to the output of class 0, so that their accuracy tells them apart."""
    state = {name: tensor.clone() for name, tensor in load("digits_mlp").model().state_dict().items()}
    state["head.bias"][0] += bias
    return state


def table(n: int) -> str:
    """The first test examples as CSV, with a column of labels."""
    x, y = load("digits_mlp").test
    head = ",".join([*(f"dot{i}" for i in range(x.shape[1])), "label"])
    rows = [",".join([*map(str, row.tolist()), str(int(label))]) for row, label in zip(x[:n], y[:n], strict=True)]
    return "\n".join([head, *rows])
