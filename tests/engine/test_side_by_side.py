"""A model on every core: the same answers, in order, and nothing begun that nobody asks for."""

from __future__ import annotations

from contextlib import closing

import pytest
import torch
from torch import Tensor, nn

from engine.metrics import side_by_side
from engine.metrics.side_by_side import answers_to
from tests.tiny import tiny

CPU = torch.device("cpu")
BATCHES = [(x, torch.full((4,), i)) for i, x in enumerate(torch.randn(9, 4, 6))]


class Noting(nn.Module):
    """Keeps something of its own between two lines, as no thread should see of another."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.seen: list[float] = []
        self.held: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.held = x
        y = self.layer(self.held)
        self.seen.append(float(x.sum()))
        assert self.held is x
        return y


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(side_by_side, "cores", lambda: request.param * torch.get_num_threads())
    return request.param


def test_the_answers_are_those_of_one_after_the_other(threads: int) -> None:
    model = Noting().eval()
    found = list(answers_to(model, BATCHES, CPU))
    assert [int(targets[0]) for targets, _ in found] == list(range(9))
    for (x, _), (_, got) in zip(BATCHES, found, strict=True):
        assert torch.equal(got, model.layer(x))
    assert len(model.seen) <= 9 if threads == 1 else len(model.seen) < 9  # the others went through copies
    assert next(model.parameters()) is model.layer.weight


def test_copies_share_every_tensor() -> None:
    model = tiny("residual").model()
    assert side_by_side.cores() >= 1
    for one in side_by_side._copies(model, CPU):
        held = [*one.parameters(), *one.buffers()]
        assert all(a is b for a, b in zip(held, [*model.parameters(), *model.buffers()], strict=True))
    assert len(side_by_side._copies(model, torch.device("meta"))) == 1


def test_what_nobody_asks_for_is_not_begun(threads: int) -> None:
    drawn: list[int] = []

    def batches():
        for i, batch in enumerate(BATCHES):
            drawn.append(i)
            yield batch

    with closing(answers_to(Noting(), batches(), CPU)) as answers:
        next(answers)
    assert len(drawn) <= threads + 1


def test_torch_keeps_its_number_of_threads(threads: int) -> None:
    seen, before = [], torch.get_num_threads()

    class Asking(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            return super().forward(x)

    list(answers_to(Asking(6, 2), BATCHES, CPU))
    assert set(seen) == {before} == {torch.get_num_threads()}


def test_what_a_model_raises_is_raised_here(threads: int) -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        list(answers_to(nn.Linear(5, 2), BATCHES, CPU))
