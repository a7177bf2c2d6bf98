"""What architecture.json can hold, and what it refuses; in this process, since it is quick."""

from __future__ import annotations

import enum
import json
import weakref
from collections import OrderedDict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine import CannotApply, Workload
from engine.exporting.architecture import edits_between, plan_of
from engine.exporting.rebuilding import build, read_architecture, read_tensors
from sample_models import load
from tests.tiny import MAKERS, tiny


class Colour(enum.Enum):
    RED = "red"


class Config:
    def __init__(self) -> None:
        self.width, self.parts = 3, {"a": (1, 2)}


class Holder(nn.Module):
    """Holds one value of its own beside a layer."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.layer, self.value = nn.Linear(2, 2), value

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class Shared(nn.Module):
    """One layer in two places, one tensor under three names, buffers saved and not."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(3, 3)
        self.again, self.other = self.one, nn.Linear(3, 3)
        self.other.weight = self.one.weight
        self.register_buffer("kept", torch.arange(3.0))
        self.register_buffer("mask", torch.tensor([True, False, True]), persistent=False)
        self.register_buffer("none", None)
        self.plain = torch.full((3,), 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return (self.other(self.again(self.one(x))) + self.kept * self.mask) * self.plain


def again(model: nn.Module, folder: Path) -> nn.Module:
    """The model, written and read."""
    plan = plan_of(model)
    save_file(plan.state, folder / "model.safetensors")
    (folder / "architecture.json").write_text(json.dumps(plan.to_dict(), allow_nan=False), "utf-8")
    told = read_architecture(folder / "architecture.json")
    return build(told, read_tensors(folder / "model.safetensors"), plan.names.found)


def state(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]


def assert_same(got: nn.Module, wanted: nn.Module) -> None:
    assert str(got) == str(wanted)
    assert [name for name, _ in state(got)] == [name for name, _ in state(wanted)]
    for (name, one), (_, other) in zip(state(got), state(wanted), strict=True):
        assert type(one) is type(other), name
        assert one.dtype == other.dtype, name
        assert torch.equal(one, other), name
        assert one.requires_grad == other.requires_grad, name
    assert got.state_dict().keys() == wanted.state_dict().keys()
    assert not any(module.training for module in got.modules())


@pytest.mark.parametrize("name", MAKERS)
def test_every_tiny_model_comes_back(name: str, tmp_path: Path) -> None:
    workload: Workload = tiny(name)
    model = workload.model()
    got = again(model, tmp_path)
    assert_same(got, model)
    with torch.no_grad():
        torch.testing.assert_close(got(workload.test[0]), model(workload.test[0]), rtol=0, atol=0)


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 2.5, float("inf"), 1 + 2j, "text", b"\0\1", [1, [2]], (1, "a"), {1, 2}, frozenset({"a"}),
        {"a": 1, 2: (3,)}, OrderedDict(a=1), torch.Size([2, 3]), range(1, 9, 2), slice(1, None), torch.bfloat16,
        torch.device("cpu"), torch.relu, nn.functional.gelu, nn.BatchNorm2d, Colour.RED, SimpleNamespace(a=1),
    ],
    ids=lambda value: getattr(value, "__name__", "") or repr(value),
)  # fmt: skip
def test_an_attribute_comes_back(value: object, tmp_path: Path) -> None:
    got = again(Holder(value).eval(), tmp_path).value
    assert (type(got), got) == (type(value), value)


def test_objects_and_partial_functions_come_back(tmp_path: Path) -> None:
    got = again(Holder([Config(), partial(torch.clamp, min=0.5)]).eval(), tmp_path).value
    assert vars(got[0]) == vars(Config())
    assert got[1](torch.zeros(1)) == 0.5


def test_ties_and_buffers_stay_what_they_are(tmp_path: Path) -> None:
    model = Shared().eval()
    got = again(model, tmp_path)
    assert_same(got, model)
    assert got.again is got.one
    assert got.other.weight is got.one.weight
    assert plan_of(model).ties == [["one.weight", "again.weight", "other.weight"], ["one.bias", "again.bias"]]
    assert torch.equal(got.plain, model.plain)
    assert sum(p.numel() for p in got.parameters()) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("net", [nn.LSTM(3, 4, 2), nn.GRU(3, 4, bidirectional=True)], ids=["lstm", "gru"])
def test_recurrent_layers_come_back(net: nn.Module, tmp_path: Path) -> None:
    got, x = again(net.eval(), tmp_path), torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(got(x)[0], net(x)[0])
    held = [one() if isinstance(one, weakref.ref) else one for one in got._flat_weights]
    assert all(one is got._parameters[name] for one, name in zip(held, got._flat_weights_names, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_other_numbers_come_back(dtype: torch.dtype, tmp_path: Path) -> None:
    model = load("digits_mlp").model().to(dtype)
    assert_same(again(model, tmp_path), model)


def hooked() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].register_forward_hook(lambda *_: None)
    return model


def inner() -> nn.Module:
    class Inner(nn.Module):
        pass

    return nn.Sequential(Inner())


def ring() -> nn.Module:
    held: list[object] = []
    held.append(held)
    return Holder(held)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (hooked, "must be given modules without hooks, got some in 0"),
        (inner, "must be able to write a class or function of 0, got "),
        (lambda: Holder(lambda x: x), "must be able to write a class or function of Holder.value, got "),
        (lambda: Holder("a".join), "must be able to write a class or function of Holder.value, got "),
        (lambda: Holder(torch.Generator()), "must be able to write an attribute of Holder.value, got a Generator: "),
        (ring, "got an object that holds itself"),
        (lambda: Holder(torch.zeros(2**24 + 1)), "must have at most 67108864 bytes, got 67108868 in Holder.value"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_sentence(make: Any, why: str) -> None:
    with pytest.raises(CannotApply) as caught:
        plan_of(make())
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_edits_name_every_module_that_differs() -> None:
    before = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 2)))
    after = nn.Sequential(nn.Linear(4, 3), nn.Identity(), nn.Sequential())
    after.append(nn.Linear(3, 2))
    assert edits_between(plan_of(before), plan_of(after)) == [
        "0: weight 4x4 → 3x4, bias 4 → 3, out_features 4 → 3",
        "1: a Identity in the place of the ReLU",
        "3: a new Linear of weight 2x3, bias 2",
        "2.0: gone",
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda path: path.write_bytes(b"short"), "must be a .safetensors file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-4]), "must hold all of"),
        (lambda path: save_file({"0.weight": torch.zeros(2, 2)}, path), "must hold 0.bias, got none"),
        (
            lambda path: save_file({"0.weight": torch.zeros(3, 2), "0.bias": torch.zeros(2)}, path),
            "0.weight must be float32 [2, 2], got torch.float32 [3, 2]",
        ),
        (
            lambda path: save_file({"0.weight": torch.zeros(2, 2), "0.bias": torch.zeros(2), "x": torch.ones(1)}, path),
            "the tensors of the architecture alone, got x, too",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: Any, why: str, tmp_path: Path) -> None:
    model, path = nn.Sequential(nn.Linear(2, 2)), tmp_path / "model.safetensors"
    plan = plan_of(model)
    save_file(plan.state, path)
    change(path)
    with pytest.raises(ValueError, match=r".") as caught:
        build(plan.to_dict(), read_tensors(path), plan.names.found)
    assert why in str(caught.value)


def test_a_class_that_the_script_does_not_name_is_not_looked_up() -> None:
    plan = plan_of(nn.Sequential(nn.Linear(2, 2)))
    told = plan.to_dict()
    plan.modules[0]["class"] = "os:system"
    with pytest.raises(KeyError, match="os:system"):
        build(told, plan.state, plan.names.found)


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "architecture.json"
    path.write_text('{"format": 99}', "utf-8")
    with pytest.raises(ValueError, match=r"architecture\.json must be of format 1, got 99: export the model again"):
        read_architecture(path)
