"""Every layer whose nodes stay says why."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.edit.coupling import COMPUTED, HELD, MIXED, OUTPUTS, PROTECTED, RECURRENT, SHARED
from engine.edit.trying import tried_coupling
from tests.methods.nets import random_inputs


class Refusing(nn.Module):
    """One layer for each reason to be left alone."""

    def __init__(self) -> None:
        super().__init__()
        self.fixed, self.behind = nn.Conv1d(2, 6, 1), nn.Linear(6 * 4, 8)
        self.mixed, self.norm = nn.Linear(8, 8), nn.LayerNorm(8)
        self.grouped, self.grouping = nn.Conv1d(8, 8, 1), nn.Conv1d(8, 8, 1, groups=2)
        self.inner, self.recurrent = nn.Linear(8, 8), nn.GRU(8, 8, batch_first=True)
        self.made = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
        self.twice, self.again = nn.Linear(8, 8), nn.Linear(8, 8)
        self.again.weight = self.twice.weight
        self.idle, self.guarded, self.last = nn.Linear(3, 3), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.behind(self.fixed(x).view(len(x), 24))
        x = self.norm(self.mixed(x))
        x = self.grouping(self.grouped(x[:, :, None])).squeeze(2)
        x, _ = self.recurrent(self.inner(x)[:, None])
        return self.last(torch.relu(self.guarded(self.again(self.twice(self.made(x[:, 0]))))))


def test_every_layer_that_stays_says_why() -> None:
    net = Refusing().eval()
    found = tried_coupling(net, random_inputs(3, 2, 4), frozenset({"guarded"}))
    assert not {group.root for group in found.groups} - {"behind"}
    reasons = found.reasons
    assert reasons["fixed"].startswith("cut by half, the model does not run: shape '[1, 24]' is invalid")
    assert reasons["mixed"] == MIXED
    assert (reasons["grouping"], reasons["recurrent"], reasons["made"]) == (HELD, RECURRENT, COMPUTED)
    assert reasons["grouped"] == f"its nodes go to grouping: {HELD}"
    assert reasons["inner"] == f"its nodes go to recurrent: {RECURRENT}"
    assert (reasons["twice"], reasons["again"]) == (SHARED, SHARED)
    assert reasons["idle"] == "it did not run in a forward pass"
    assert (reasons["guarded"], reasons["last"]) == (PROTECTED, OUTPUTS)
    layers = {path for path, module in net.named_modules() if list(module.parameters(recurse=False))}
    assert layers - reasons.keys() <= {"behind", "norm", "made.parametrizations.weight"}
