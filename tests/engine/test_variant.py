from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_model
from torch import Tensor, nn

from engine import InvalidInput
from engine.sources.checkpoint import read_variant
from tests.states import contents
from tests.tiny import SIX, Attention, Residual, TiedLanguageModel, settled, tiny


def variant(folder: Path, narrow: nn.Module, wide: nn.Module) -> nn.Module:
    path = folder / "model.safetensors"
    save_model(narrow, str(path))
    return read_variant(path, wide)


@pytest.mark.parametrize("name", SIX)
def test_the_model_itself_is_a_variant(name: str, tmp_path: Path) -> None:
    workload = tiny(name)
    found = variant(tmp_path, workload.model(), workload.model().train())
    assert contents(found) == contents(workload.model())
    assert not any(module.training for module in found.modules())


IMAGES, ROWS, TOKENS = torch.randn(4, 1, 6, 6), torch.randn(4, 8), torch.arange(8).view(2, 4) % 5


def conv(a: int, b: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, a, 3, padding=1, bias=False), nn.BatchNorm2d(a), nn.PReLU(a),
        nn.Conv2d(a, 2 * a, 3, groups=a), nn.InstanceNorm2d(2 * a, affine=True), nn.ConvTranspose2d(2 * a, b, 2),
        nn.ConvTranspose2d(b, 3 * b, 2, groups=b), nn.GroupNorm(2, 3 * b),
        nn.Conv2d(3 * b, 2 * b, 1, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * b, 3),
    )  # fmt: skip


def lines(a: int, b: int) -> nn.Module:
    return nn.Sequential(
        nn.Embedding(a, b, padding_idx=5), nn.LayerNorm(b), nn.RMSNorm(b), nn.Conv1d(4, a, 1), nn.BatchNorm1d(a)
    )


CASES = {
    "conv": (lambda: conv(3, 4), lambda: conv(6, 10), IMAGES),
    "wider": (lambda: conv(6, 10), lambda: conv(3, 4), IMAGES),
    "lines": (lambda: lines(6, 3), lambda: lines(9, 8), TOKENS),
    "residual": (lambda: Residual(5), Residual, IMAGES),
    "tied": (lambda: TiedLanguageModel(3), TiedLanguageModel, TOKENS),
}


def numbers(model: nn.Module) -> list[dict[str, object]]:
    """What each module keeps about itself."""
    plain = (int, float, str, tuple, type(None))
    return [{k: v for k, v in vars(m).items() if isinstance(v, plain)} for m in model.modules()]


@pytest.mark.parametrize("case", CASES)
def test_a_narrower_model_becomes_what_its_own_code_builds(case: str, tmp_path: Path) -> None:
    narrow, wide, inputs = settled(CASES[case][0], CASES[case][2]), CASES[case][1]().eval(), CASES[case][2]
    before = contents(wide), numbers(wide)
    found = variant(tmp_path, narrow, wide)
    assert contents(found) == contents(narrow)
    assert numbers(found) == numbers(narrow)
    assert (contents(wide), numbers(wide)) == before
    with torch.no_grad():
        assert torch.equal(found(inputs), narrow(inputs))


def test_ties_stay_ties(tmp_path: Path) -> None:
    found = variant(tmp_path, TiedLanguageModel(3), TiedLanguageModel())
    assert found.out.weight is found.embed.weight
    assert isinstance(found.out.weight, nn.Parameter)
    assert len(list(found.parameters())) == 5


@pytest.mark.parametrize(("rows", "kept"), [(6, 5), (5, None)])
def test_padding_stays_where_its_row_is_left(rows: int, kept: int | None, tmp_path: Path) -> None:
    found = variant(tmp_path, nn.Embedding(rows, 3), nn.Embedding(9, 8, padding_idx=5))
    assert found.padding_idx == kept


class Own(nn.Module):
    """A parameter of one's own, of which no layer says its width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(1, width), requires_grad=False)
        self.more = nn.ParameterList([torch.ones(width)])
        self.head = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x[:, : self.position.shape[1]] + self.position + self.more[0])


def test_a_parameter_of_ones_own_may_have_any_width(tmp_path: Path) -> None:
    narrow = Own(5).eval()
    found = variant(tmp_path, narrow, Own(8))
    assert torch.equal(found(ROWS), narrow(ROWS))
    assert not found.position.requires_grad


def bent(layer: nn.Module, **tensors: Tensor) -> nn.Module:
    for name, tensor in tensors.items():
        setattr(layer, name, nn.Parameter(tensor) if name in layer._parameters else tensor)
    return layer


REFUSED = {
    "names": (nn.Linear(3, 2, bias=False), nn.Linear(3, 2), "got none called 'bias'"),
    "rank": (nn.Conv1d(3, 2, 1), nn.Conv2d(3, 2, 1), "'weight' must have 4 axes of at least one, got shape"),
    "no width": (bent(nn.Linear(3, 2), bias=torch.ones(0)), nn.Linear(3, 2), "'bias' must have 1 axes of at least one"),
    "dtype": (bent(nn.BatchNorm1d(2), running_var=torch.ones(2).int()),
              nn.BatchNorm1d(2), "'running_var' must be of float32, got int32"),
    "nan": (bent(nn.Linear(3, 2), bias=torch.tensor([0, torch.nan])), nn.Linear(3, 2), "'bias' must hold finite"),
    "bias": (bent(nn.Linear(3, 2), bias=torch.ones(4)), nn.Linear(3, 2),
             r"'bias' must be of shape \(2,\) for this Linear, got \(4,\): prune all tensors of a layer together"),
    "statistics": (bent(nn.BatchNorm1d(2), running_mean=torch.ones(3)), nn.BatchNorm1d(4), "'running_mean' must be of"),
    "bias of a conv": (bent(nn.Conv1d(3, 2, 1), bias=torch.ones(3)), nn.Conv1d(3, 3, 1), "'bias' must be of shape"),
    "kernel": (nn.Conv1d(3, 2, 5), nn.Conv1d(3, 2, 3), r"'weight' must be of shape \(2, 3, 3\) for this Conv1d, got"),
    "depthwise": (nn.Conv1d(4, 4, 3, groups=2), nn.Conv1d(6, 6, 3, groups=6), r"'weight' must be of shape \(4, 1, 3\)"),
    "multiplier": (nn.Conv1d(1, 3, 3), nn.Conv1d(2, 4, 3, groups=2), "Conv1d must have channels that 2 divides, got 3"),
    "groups": (nn.Conv1d(2, 3, 3), nn.Conv1d(4, 4, 3, groups=2), "Conv1d must have channels that 2 divides, got 3"),
    "groups of a norm": (nn.GroupNorm(1, 3), nn.GroupNorm(2, 4), "GroupNorm must have channels that its 2 groups"),
    "layer norm": (bent(nn.LayerNorm(3), bias=torch.ones(2)), nn.LayerNorm(4), "'bias' must be of shape"),
    "attention": (Attention(4), Attention(), r"'encoder.layers.0.self_attn.in_proj_weight' must be of shape \(24, 8\)"),
    "recurrent": (nn.LSTM(3, 2), nn.LSTM(3, 4), r"'weight_ih_l0' must be of shape \(16, 3\) for this LSTM, got"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_tensors_that_do_not_fit_together_are_refused(case: str, tmp_path: Path) -> None:
    narrow, wide, match = REFUSED[case]
    before = numbers(wide)
    with pytest.raises(InvalidInput, match=match):
        variant(tmp_path, narrow, wide)
    assert numbers(wide) == before


def test_a_pickle_is_no_variant(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="convert it with"):
        read_variant(tmp_path / "model.pt", nn.Linear(3, 2))
