"""Workloads that their users got wrong: one sentence each; and those that only look odd: they work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count as numbers
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset

from engine import InvalidInput, Task, Workload, measure
from engine.errors import SecateurError
from tests.engine.quick import quick

X, Y = torch.randn(24, 4, generator=torch.Generator().manual_seed(0)), torch.arange(24) % 3


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def made(
    network: object = None, task: object = "classification", x: object = X, y: object = Y, **facts: object
) -> Workload:
    pair = (x, y)
    return Workload(
        str(facts.pop("name", "made")), network or net, task, train=pair, validation=pair, test=pair, **facts
    )  # type: ignore[arg-type]


def own(**parts: object) -> Task:
    told = {"loss": F.cross_entropy, "terms": hits, "finish": lambda sums: sums[..., 0] / sums[..., 1], **parts}
    return Task("own", **told)


def hits(outputs: Tensor, targets: Tensor) -> Tensor:
    right = (outputs.argmax(1) == targets).double()
    return torch.stack([right, torch.ones_like(right)], 1)


def fails(*args: object) -> object:
    return 1 / 0


class Failing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return fails()


class Holding(nn.Module):
    """Holds a tensor that was calculated from a weight, as some libraries do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.twice = 2 * self.weight


SENTENCES: dict[str, tuple[Callable[[], object], str]] = {
    "name": (lambda: made(name="a:b"), "a workload's name must be a word"),
    "no name": (lambda: made(name=""), "a workload's name must be a word"),
    "classes as a text": (lambda: made(classes="abc"), "classes of a workload must be a list of texts"),
    "classes as a number": (lambda: made(classes=3), "classes of a workload must be a list of texts"),
    "too few classes": (lambda: measured(made(classes=("a", "b"))), "must name each of the model's 3 outputs, got 2"),
    "hints": (lambda: made(hints=["a"]), "hints of a workload must be a mapping"),
    "about": (lambda: made(about="x"), "about of a workload must be a mapping"),
    "decode": (lambda: made(decode=3), "decode of a workload must be a function"),
    "labels with a fraction": (lambda: made(y=Y + 0.5), "train targets must be whole numbers (n,), got float32"),
    "one-hot labels": (lambda: made(y=F.one_hot(Y)), "train targets must be whole numbers (n,), got int64 (24, 3)"),
    "labels out of range": (lambda: measured(made(y=Y + 5)), "must be from 0 to 2, as the model has 3 outputs"),
    "negative labels": (lambda: measured(made(y=Y - 1)), "a target must be from 0 to 2"),
    "a function that fails": (lambda: made(fails).model(), "must be built by its function, got ZeroDivisionError"),
    "a module that cannot be copied": (lambda: made(Holding()).model(), "must be a module that can be copied"),
    "a model that fails": (lambda: measured(made(Failing())), "must run on any batch and give one tensor, got: div"),
    "a loss that fails": (lambda: measured(made(task=own(terms=fails))), "got: division by zero"),
    "a chance that fails": (lambda: measured(made(task=own(chance=fails))), "the chance of made must be a number"),
    "a name that is taken": (lambda: own(figure="parameters"), "a score's name must be a text that no other"),
    "a finish for one sum only": (
        lambda: measured(made(task=own(finish=lambda sums: sums[0] / sums[1]))),
        "a score's finish must take sums (..., k)",
    ),
    "no module": (lambda: measure(made(), model=net), "a variant must be a torch.nn.Module, got function"),
    "a variant of another dtype": (lambda: measure(made(), model=net().half()), "the variant must run, got: "),
}  # fmt: skip


def measured(workload: Workload, **more: object) -> object:
    return measure(workload, protocol=quick("cpu"), **more)


@pytest.mark.parametrize("wrong", SENTENCES)
def test_what_is_wrong_is_one_sentence(wrong: str) -> None:
    build, sentence = SENTENCES[wrong]
    with pytest.raises(SecateurError) as caught:
        build()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


class Rows(Dataset):
    def __init__(self, x: object, y: object) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[object, object]:
        return self.x[i], self.y[i]


class Endless(IterableDataset):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return ((torch.zeros(2**20), torch.tensor(0)) for _ in numbers())


def test_a_loader_without_an_end_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.examples.MOST_BYTES", 2**30)
    loader = DataLoader(Endless(), batch_size=8)
    with pytest.raises(InvalidInput, match="the train split must end and fit in 1 GiB, got more"):
        Workload("made", net, "classification", train=loader, validation=(X, Y), test=(X, Y))


ARRAYS = X.numpy().astype(np.float64), Y.numpy()
ODD: dict[str, Callable[[], Workload]] = {
    "int32 labels": lambda: made(y=Y.int()),
    "uint8 labels": lambda: made(y=Y.byte()),
    "whole floats as labels": lambda: made(y=Y.float()),
    "labels in a column": lambda: made(y=Y[:, None]),
    "double arrays": lambda: made(x=ARRAYS[0]),
    "double arrays for a double net": lambda: made(net().double(), x=ARRAYS[0]),
    "a table of pandas": lambda: made(x=pd.DataFrame(ARRAYS[0]), y=pd.Series(ARRAYS[1])),
    "a dataset of arrays": lambda: of(Rows(*ARRAYS)),
    "a loader of arrays": lambda: of(DataLoader(Rows(*ARRAYS), batch_size=5)),
}


def of(data: object) -> Workload:
    return Workload("made", net, "classification", train=data, validation=data, test=data)


@pytest.mark.parametrize("odd", ODD)
def test_what_only_looks_odd_is_measured_and_trained(odd: str) -> None:
    wanted = measured(made()).original.accuracy.value
    point = measured(ODD[odd](), recipe='[["parameter_optimization", {"steps": 2, "batch_size": 8}]]')
    assert point.original.accuracy.value == wanted


class Writing(nn.Module):
    """Writes into what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: Tensor) -> Tensor:
        x -= 0.5
        x *= 1.5
        return self.net(x)


def test_a_model_that_writes_into_its_input_leaves_the_data_alone() -> None:
    workload = made(Writing(), x=X.clone())
    scores = {measured(workload).variant.accuracy.value for _ in range(2)}
    assert len(scores) == 1
    assert torch.equal(workload.test[0], X)
    assert torch.equal(workload.train[0], X)


class Answer(NamedTuple):
    scores: Tensor
    hidden: Tensor


class Answering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: Tensor) -> Answer:
        return Answer(self.net(x), x)


def test_a_task_of_ones_own_is_given_the_answer_as_it_is() -> None:
    task = own(loss=lambda a, y: F.cross_entropy(a.scores, y), terms=lambda a, y: hits(a.scores, y))
    assert measured(made(Answering(), task)).variant.accuracy.value == measured(made()).variant.accuracy.value


def test_targets_that_are_all_alike_allow_no_r_squared() -> None:
    pair = X, torch.ones(24, 1)
    workload = Workload("made", nn.Linear(4, 1), "regression", train=pair, validation=pair, test=pair)
    figure = measured(workload).variant["R²"] if "R²" in measured(workload).variant.figures else None
    figure = figure or measured(workload).variant.accuracy
    assert figure.value is None
    assert figure.reason == "these targets allow no score"


@pytest.mark.parametrize("line", ["1 / 0", "import sys; sys.exit('bye')", "open('nowhere')", "undefined"])
def test_a_module_that_cannot_be_imported_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    (tmp_path / "broken_module.py").write_text(line, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidInput, match="a workload's reference must be module:function, got 'broken_module:f': "):
        Workload.from_reference("broken_module:f")
    assert "broken_module" not in sys.modules
