from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset

from engine import InvalidInput, Score, Task, UnknownName, Workload
from tests.states import bits, contents
from tests.tiny import TEST, TRAIN, VALIDATION, linear_net, settled, tiny

X, Y = torch.arange(12.0).view(4, 3), torch.tensor([0, 1, 2, 1])


class Labelled(Dataset[tuple[Tensor, int]]):
    """As people write one: a tensor and a plain number."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return X[i], int(Y[i])


class Doubling(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


class Tripling(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 3 * x


def made(network: object = None, task: str | Task = "classification", x: Tensor = X, y: Tensor = Y) -> Workload:
    net = settled(lambda: linear_net(3), X) if network is None else network
    return Workload("made", net, task, train=(x, y), validation=(X, Y), test=(X, Y))  # type: ignore[arg-type]


def test_equal_workloads_have_equal_fingerprints() -> None:
    assert made().fingerprint == made().fingerprint
    assert made(lambda: settled(lambda: linear_net(3), X)).fingerprint == made().fingerprint
    assert len(made().fingerprint) == 16


def changed_weight() -> nn.Module:
    net = settled(lambda: linear_net(3), X)
    with torch.no_grad():
        net[0].weight[0, 0] += 1e-6
    return net


CHANGES = {
    "weight": lambda: made(changed_weight()),
    "buffer": lambda: made(nn.Sequential(settled(lambda: linear_net(3), X), nn.BatchNorm1d(3))),
    "input": lambda: made(x=X + torch.tensor([[0, 0, 1e-6]])),
    "target": lambda: made(y=Y.flip(0)),
    "type of data": lambda: made(x=X.double()),
    "type of data with the same bytes": lambda: made(x=X.view(torch.int32)),
    "shape of data": lambda: made(x=X.view(4, 3, 1)),
    "task": lambda: made(task="regression"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_another_fingerprint(change: str) -> None:
    assert CHANGES[change]().fingerprint != made().fingerprint


def test_the_source_of_the_networks_classes_is_in_the_fingerprint() -> None:
    assert made(Doubling()).fingerprint != made(Tripling()).fingerprint


class Tilted(nn.Module):
    """What it does hangs on a plain attribute, on one of an object, and on a buffer that is not saved."""

    def __init__(self, tilt: float = 1.0, inner: float = 1.0, buffer: float = 1.0) -> None:
        super().__init__()
        self.tilt, self.settings = tilt, SimpleNamespace(inner=inner)
        self.register_buffer("kept", torch.tensor(buffer), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.tilt * self.settings.inner * self.kept


def judged(limit: float = 0.5, offset: float = 0.0, **names: object) -> Task:
    """A task whose score hangs on the variables around it."""

    def terms(outputs: Tensor, targets: Tensor, shift: float = offset) -> Tensor:
        return ((outputs[:, 0] > limit) == (targets > shift)).double()[:, None]

    return Task("judged", F.cross_entropy, terms, lambda sums: sums[..., 0], **names)


DIFFER = {
    "activation": [made(nn.Sequential(layer)) for layer in (nn.ReLU(), nn.Sigmoid(), nn.Softplus(2.0), nn.Softplus())],
    "attributes": [made(Tilted()), made(Tilted(2.0)), made(Tilted(inner=2.0)), made(Tilted(buffer=2.0))],
    "padding": [made(settled(lambda p=p: nn.Conv1d(3, 1, 1, padding=p), X[:, :, None])) for p in (0, 1)],
    "score": [made(task=task) for task in (judged(), judged(0.6), judged(offset=1.0), judged(unit="points"))],
    "names": [made(task=judged(figure=name)) for name in ("a", "b")],
    "others": [made(task=judged(others=(Score(name, judged().terms, judged().finish, "x"),))) for name in "ab"],
}


@pytest.mark.parametrize("kind", DIFFER)
def test_what_calculates_differently_has_another_fingerprint(kind: str) -> None:
    prints = [workload.fingerprint for workload in DIFFER[kind]]
    assert len(set(prints)) == len(prints)


def test_equal_settings_have_equal_fingerprints() -> None:
    assert made(Tilted()).fingerprint == made(Tilted()).fingerprint
    assert made(task=judged()).fingerprint == made(task=judged()).fingerprint


@pytest.mark.parametrize("data", [TensorDataset(X, Y), Labelled()], ids=["tensors", "numbers"])
def test_a_dataset_works_wherever_a_pair_does(data: Dataset) -> None:
    workload = Workload("made", linear_net(3), "classification", train=data, validation=(X, Y), test=data)
    for x, y in (workload.train, workload.test):
        assert torch.equal(x, X)
        assert torch.equal(y, Y)
        assert y.dtype == torch.long


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize(
    "data", [(X[:0], Y[:0]), (X, Y[:2]), TensorDataset(X[:0], Y[:0])], ids=["empty", "uneven", "dataset"]
)
def test_a_split_that_is_empty_or_uneven_is_refused(part: str, data: object) -> None:
    splits = {"train": (X, Y), "validation": (X, Y), "test": (X, Y)} | {part: data}
    with pytest.raises(
        InvalidInput, match=f"the {part} split must hold as many targets as inputs and at least one, got"
    ):
        Workload("made", linear_net(3), "classification", **splits)  # type: ignore[arg-type]


def test_an_unknown_task_or_argument_is_refused() -> None:
    with pytest.raises(
        UnknownName, match=r"task must be one of .*; got 'clasification', did you mean 'classification'\?"
    ):
        made(task="clasification")
    with pytest.raises(UnknownName, match=r"did you mean 'classes'\?"):
        Workload("made", linear_net(3), "regression", train=(X, Y), validation=(X, Y), test=(X, Y), clases=())


def test_each_model_is_a_fresh_copy_in_eval_mode() -> None:
    net = linear_net(3).train()
    workload = made(net)
    first, second = workload.model(), workload.model()
    with torch.no_grad():
        first[0].weight.zero_()
    assert not first.training
    assert net.training
    assert contents(second) == contents(workload.model()) == contents(net)
    assert not {id(m) for m in first.modules()} & {id(m) for m in second.modules()}


def test_a_function_builds_the_network_once() -> None:
    calls: list[int] = []
    workload = made(lambda: calls.append(1) or linear_net(3))
    assert contents(workload.model()) == contents(workload.model())
    assert len(calls) == 1


def test_facts_of_a_workload() -> None:
    workload = tiny("linear")
    assert workload.splits == {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    assert workload.example.shape == (1, 12)
    assert workload.reference is None
    assert workload.classes == ()


def test_a_task_of_ones_own() -> None:
    own = Task(
        "own", nn.functional.mse_loss, lambda out, y: (out[:, :1] > 0).double(), lambda s: s[..., 0], lambda y: 0.5
    )
    workload = made(task=own)
    assert workload.task is own
    assert workload.fingerprint != made().fingerprint


def build() -> Workload:
    return made()


def test_a_reference_leads_to_the_workload() -> None:
    workload = Workload.from_reference("tests.engine.test_workload:build")
    assert workload.reference == "tests.engine.test_workload:build"
    assert workload.fingerprint == made().fingerprint
    assert bits(workload.train[0]) == bits(X)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        ":",
        "no.such.module:workload",
        "tests.tiny:no_such",
        "tests.tiny",
        "tests.tiny:TRAIN",
        "tests.tiny:linear_net",
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(reference: str) -> None:
    with pytest.raises(InvalidInput, match=" must "):
        Workload.from_reference(reference)
