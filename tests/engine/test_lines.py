"""Lines that a language model writes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine import CannotApply, Workload, language_modelling
from engine.lines import PROMPT, write_line
from tests.foreign import TwoTowers

SIGNS, LENGTH = 11, 9


class Counts(nn.Module):
    """Says that each sign is followed by the next one; in training mode, by anything."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(40 * torch.eye(SIGNS).roll(1, dims=1))
        self.dropout = nn.Dropout(0.9)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.weight[x])  # n, length, SIGNS


def writer(net: nn.Module | None = None, **more: object) -> Workload:
    x = torch.randint(SIGNS, (6, LENGTH), generator=torch.Generator().manual_seed(0))
    held = dict.fromkeys(("train", "validation", "test"), (x, x))
    facts = {"decode": lambda codes: " ".join(map(str, codes.tolist()))} | more
    return Workload("writer", net or Counts(), language_modelling(), **held, **facts)


@pytest.mark.parametrize("number", [0, 3, 6, 100])
def test_it_goes_on_from_the_first_signs_of_an_example(number: int) -> None:
    workload = writer()
    given = workload.validation[0][number % 6, :PROMPT].tolist()
    line = write_line(workload.model().train(), workload, number)
    assert [int(sign) for sign in line.split()] == given + [(given[-1] + i) % SIGNS for i in range(1, LENGTH - 3)]


class Random(nn.Module):
    """Every sign is as likely, whatever stands before."""

    def __init__(self, tilt: float = 0.0) -> None:
        super().__init__()
        self.bias = nn.Parameter(tilt * torch.arange(SIGNS).float())

    def forward(self, x: Tensor) -> Tensor:
        return self.bias.expand(*x.shape, SIGNS)


def test_equal_models_write_equal_lines_and_another_number_another_one() -> None:
    workload = writer(Random())
    lines = [write_line(Random(), workload, number) for number in (0, 0, 1)]
    assert lines[0] == lines[1]
    assert lines[0].split()[PROMPT:] != lines[2].split()[PROMPT:]


def test_models_that_nearly_agree_write_nearly_the_same() -> None:
    workload = writer(Random())
    pairs = [
        (write_line(Random(), workload, number).split(), write_line(Random(1e-3), workload, number).split())
        for number in range(20)
    ]
    same = sum(a == b for one, other in pairs for a, b in zip(one[PROMPT:], other[PROMPT:], strict=True))
    assert same / (20 * (LENGTH - PROMPT)) > 0.9  # by chance a tenth


def test_the_state_of_the_world_is_not_touched() -> None:
    workload = writer(Random())
    before = torch.random.get_rng_state()
    net = Random().train()
    write_line(net, workload, 0)
    assert torch.equal(before, torch.random.get_rng_state())
    assert net.training


def test_what_cannot_write_says_so() -> None:
    with pytest.raises(CannotApply, match="writer must say how its codes are read"):
        write_line(Counts(), writer(decode=None), 0)
    x = {"numbers": torch.zeros(3, 5), "kind": torch.zeros(3, dtype=torch.long)}
    held = {part: (x, torch.zeros(3)) for part in ("train", "validation", "test")}
    towers = Workload("towers", TwoTowers(), "regression", **held, decode=str)
    with pytest.raises(CannotApply, match=r"towers must take tokens \(batch, length\)"):
        write_line(towers.model(), towers, 0)
