"""The same model in other numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from engine import CannotApply, Measurer, Protocol, UnknownName
from engine.metrics.precision import in_dtype, in_eight_bits
from engine.metrics.size import size_figures
from tests.engine.quick import CountingStore, quick
from tests.states import Held
from tests.tiny import tiny, workload_of


@pytest.mark.parametrize("name", ["linear", "residual", "tied", "attention"])
def test_another_dtype_is_a_copy_that_takes_the_same_inputs(name: str) -> None:
    workload = tiny(name)
    model = workload.model()
    before = Held.of(model)
    other = in_dtype(model, "bfloat16")
    assert {p.dtype for p in other.parameters()} == {torch.bfloat16}
    assert len(list(other.parameters())) == len(list(model.parameters()))  # ties stay ties
    with torch.inference_mode():
        got, wanted = other(workload.train[0][:5]), model(workload.train[0][:5])
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), wanted, rtol=0.1, atol=0.1)
    assert Held.of(model) == before


def test_eight_bits_hold_the_same_parameters_in_a_quarter_of_the_bytes() -> None:
    net = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 8)).eval()
    small = in_eight_bits(net)
    x = torch.randn(9, 256, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(small(x), net(x), rtol=0.1, atol=0.05)
    before, after = size_figures(net), size_figures(small)
    assert after["parameters"] == before["parameters"]
    assert after["structural"] == before["structural"]
    assert after["size_bytes"].value == pytest.approx(before["size_bytes"].value / 4, rel=0.05)


def test_no_linear_layer_is_said() -> None:
    with pytest.raises(CannotApply, match="int8 must find linear layers, got none"):
        in_eight_bits(nn.Sequential(nn.Conv2d(1, 2, 3)))


@pytest.mark.parametrize("name", ["bfloat16", "int8"])
def test_a_baseline_does_as_many_products(name: str) -> None:
    point = Measurer(tiny("linear"), protocol=quick()).measure_baseline(name)
    assert point.variant.multiply_adds == point.original.multiply_adds
    assert point.variant.parameters == point.original.parameters
    assert point.content == name
    assert "kind of number" in str(point.to_dict()["verdict"])


def test_names_that_are_none() -> None:
    with pytest.raises(UnknownName):
        Measurer(tiny("linear"), protocol=quick()).measure_baseline("int3")
    with pytest.raises(UnknownName):
        Protocol.here("cpu", dtype="float8")
    with pytest.raises(CannotApply, match="in its own float32, got bfloat16"):
        Measurer(tiny("linear"), protocol=replace(quick(), dtype="bfloat16")).measure_baseline("int8")


def test_both_sides_are_measured_in_the_dtype_that_was_asked_for() -> None:
    recipe = [["node_pruning", {"amount": 0.5}]]
    usual, half = (
        Measurer(tiny("conv"), protocol=replace(quick(), dtype=dtype)).measure(recipe) for dtype in ("", "bfloat16")
    )
    assert (usual.protocol.dtype, half.protocol.dtype) == ("float32", "bfloat16")
    for side in ("original", "variant"):
        assert getattr(half, side).parameters == getattr(usual, side).parameters
        assert getattr(half, side).size_bytes.value < getattr(usual, side).size_bytes.value


class Seen(nn.Module):
    """Notes the dtypes that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.noted = nn.Linear(3, 3), list[torch.dtype]()

    def forward(self, x: Tensor, codes: Tensor, weights: Tensor) -> Tensor:
        self.noted += [x.dtype, codes.dtype, weights.dtype]
        return self.inner(x) * weights + codes


def test_inputs_by_place_and_by_name_are_turned_and_whole_numbers_are_not() -> None:
    other, x = in_dtype(Seen(), "bfloat16"), torch.ones(2, 3)
    assert other(x, x.long(), weights=x).dtype == torch.bfloat16
    assert other.noted == [torch.bfloat16, torch.long, torch.bfloat16]
    assert x.dtype == torch.float32


def test_a_tie_is_a_tie_in_another_dtype() -> None:
    other = in_dtype(tiny("tied").model(), "bfloat16")
    assert other.out.weight is other.embed.weight


@pytest.mark.parametrize("name", ["linear", "residual", "tied"])
def test_half_as_many_bits_are_half_as_many_bytes(name: str) -> None:
    model = tiny(name).model()
    sizes = [size_figures(one)["size_bytes"].value for one in (model, in_dtype(model, "bfloat16"))]
    numbers = sum(t.numel() for t in {*model.parameters(), *model.buffers()} if t.is_floating_point())
    assert sizes[0] - sizes[1] == pytest.approx(2 * numbers, abs=16 * len(model.state_dict()))


def test_a_baseline_is_kept_and_leaves_the_original_as_it_is() -> None:
    store = CountingStore()
    measurer = Measurer(tiny("linear"), protocol=quick(), store=store)
    before = Held.of(measurer.context.original)
    first = measurer.measure_baseline("int8")
    store.put_kinds.clear()
    assert Measurer(tiny("linear"), protocol=quick(), store=store).measure_baseline("int8") == first
    assert store.put_kinds == []
    assert Held.of(measurer.context.original) == before


def test_a_workload_without_a_linear_layer_has_no_baseline_of_eight_bits() -> None:
    workload = workload_of("flat", lambda: nn.Sequential(nn.Conv1d(4, 3, 2), nn.Flatten()), (4, 2), "classification")
    with pytest.raises(CannotApply, match="int8 must find linear layers, got none"):
        Measurer(workload, protocol=quick()).measure_baseline("int8")
    assert Measurer(workload, protocol=quick()).measure_baseline("bfloat16").variant.multiply_adds.value == 4 * 3 * 2


def test_an_encoder_has_a_baseline_of_eight_bits() -> None:
    point = Measurer(tiny("attention"), protocol=quick()).measure_baseline("int8")
    assert point.variant.parameters == point.original.parameters
