from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from engine import InvalidInput
from engine.sources.checkpoint import read_checkpoint
from tests.engine.crafted import net, state
from tests.states import bits, contents


def read(folder: Path, tensors: dict[str, Tensor], model: nn.Module | None = None) -> dict[str, Tensor]:
    path = folder / "model.safetensors"
    path.write_bytes(save(tensors))
    return read_checkpoint(path, model or net())


def without(*names: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state().items() if name not in names}


def renamed(**new: str) -> dict[str, Tensor]:
    return {new.get(name.replace(".", "_"), name): tensor for name, tensor in state().items()}


def poked(name: str, value: float, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    found = state()
    found[name] = found[name].to(dtype)
    found[name].view(-1)[-1] = value
    return found


EVERY = "^the file must hold every tensor of the architecture, got none called "
ONLY = "^the file must hold the tensors of the architecture and no more, got "
CASES = {
    "one missing": (without("out.bias"), EVERY + r"'out\.bias': choose the architecture"),
    "many missing": (without("out.bias", "conv.weight"), EVERY + r"'conv\.weight' and 1 more missing: choose"),
    "none at all": ({}, EVERY + r"'conv\.weight' and 8 more missing: choose"),
    "all of a tie missing": (without("out.weight", "embed.weight"), EVERY + r"'embed\.weight' and 1 more"),
    "another name": (renamed(out_bias="out.biass"), EVERY + r"'out\.bias', but one called 'out\.biass': choose"),
    "one more": (state() | {"out.biass": torch.ones(1)}, ONLY + r"'out\.biass', the nearest is 'out\.bias': choose"),
    "two more": (state() | {"1": torch.ones(1), "2": torch.ones(1)}, ONLY + "'1' and 1 more: choose"),
    "rank": (state() | {"out.bias": torch.ones(5, 1)}, r"'out\.bias' must be of shape \(5,\), got \(5, 1\): choose"),
    "shape": (state() | {"out.bias": torch.ones(6)}, r"'out\.bias' must be of shape \(5,\), got \(6,\): choose"),
    "half shape of a tie": (state() | {"out.weight": torch.ones(5, 3)}, r"'out\.weight' must be of shape \(5, 4\)"),
    "whole numbers": (state() | {"out.bias": torch.ones(5).int()}, r"'out\.bias' must be of float32, got int32"),
    "a fraction": (state() | {"norm.num_batches_tracked": torch.tensor(0.5)}, "tracked' must be of int64, got float"),
    "a narrow count": (state() | {"norm.num_batches_tracked": torch.tensor(1).int()}, "must be of int64, got int32"),
    "nan": (poked("conv.weight", math.nan), r"'conv\.weight' must hold finite numbers, got nan or infinity: train"),
    "infinity": (poked("norm.running_var", -math.inf), r"'norm\.running_var' must hold finite numbers, got nan"),
    "too large": (poked("out.bias", 1e300, torch.float64), r"'out\.bias' must hold finite .* too large for float32"),
    "a broken tie": (poked("out.weight", 7), r"'out\.weight' and 'embed\.weight' must be equal, since"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_weights_that_are_not_the_architectures_are_refused(case: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=CASES[case][1]) as caught:
        read(tmp_path, CASES[case][0])
    assert len(str(caught.value)) <= 400


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_width_of_float_is_converted(dtype: torch.dtype, tmp_path: Path) -> None:
    narrow = {name: t.to(dtype) if t.is_floating_point() else t for name, t in state().items()}
    found = read(tmp_path, narrow)
    assert {name: t.dtype for name, t in found.items()} == {name: t.dtype for name, t in state().items()}
    assert all(torch.equal(found[name].to(dtype), narrow[name]) for name in narrow if narrow[name].is_floating_point())
    wide = read(tmp_path, state(), net().to(dtype))
    assert wide["out.bias"].dtype == dtype
    assert bits(wide["out.bias"]) == bits(state()["out.bias"].to(dtype))


@pytest.mark.parametrize("left_out", [(), ("out.weight",), ("embed.weight",)])
def test_any_name_of_a_tie_is_enough(left_out: tuple[str, ...], tmp_path: Path) -> None:
    found = read(tmp_path, without(*left_out))
    assert found["embed.weight"] is found["out.weight"]
    model = net()
    model.load_state_dict(found)
    assert contents(model) == contents(net())


class Odd(nn.Module):
    """Buffers that are no plain numbers: a mask of -inf, bools, nothing, one number, and an object of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.tensor([[0.0, -math.inf], [0.0, 0.0]]))
        self.register_buffer("where", torch.tensor([True, False, True]))
        self.register_buffer("nothing", torch.empty(2, 0))
        self.register_buffer("one", torch.tensor(3))
        self.register_buffer("small", torch.ones(2).to(torch.float8_e4m3fn))
        self.register_buffer("own", torch.ones(2), persistent=False)

    def get_extra_state(self) -> dict[str, int]:
        return {"version": 1}


def test_odd_tensors_are_read(tmp_path: Path) -> None:
    tensors = {name: t for name, t in Odd().state_dict().items() if isinstance(t, Tensor)}
    found = read(tmp_path, tensors, Odd())
    assert {name: (t.dtype, t.shape, t.tolist()) for name, t in found.items()} == {
        name: (t.dtype, t.shape, t.tolist()) for name, t in tensors.items()
    }
    tensors["mask"][1, 1] = math.inf
    with pytest.raises(InvalidInput, match="'mask' must hold finite numbers"):
        read(tmp_path, tensors, Odd())


def test_a_byte_that_is_no_bool_becomes_one(tmp_path: Path) -> None:
    tensors = {name: t for name, t in Odd().state_dict().items() if isinstance(t, Tensor)}
    path = tmp_path / "model.safetensors"
    path.write_bytes(save(tensors).replace(b"\x01\x00\x01", b"\x02\x00\xff"))
    assert read_checkpoint(path, Odd())["where"].view(torch.uint8).tolist() == [1, 0, 1]
