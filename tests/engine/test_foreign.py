"""Models of unknown kinds: every method applies, or says in one sentence why it cannot."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from engine import CannotApply, Form, InvalidInput, Method, Recipe, Workload, measure
from engine.methods.parameter_optimization import ParameterOptimization
from tests.contract.cases import every_form, gentle
from tests.engine.quick import quick
from tests.foreign import NAMES, REFERENCES, SIZES
from tests.tiny import linear_net

# (method, form or "", model) that must be refused; another refusal, or one of these that no longer comes, fails.
REFUSED = {
    ("layer_pruning", "", "lstm"),
    ("layer_pruning", "", "two_towers"),
    ("node_pruning", "", "tied_functional"),
    *(
        ("structure_optimization", form, "tied_functional")
        for form in ("low_rank", "energy", "budget", "whitened", "rotated", "random")
    ),
    ("structure_optimization", "budget", "lstm"),  # rank 1 saves less than the default asks for
    ("structure_optimization", "budget", "two_towers"),
    ("repair", "statistics", "lstm"),
    ("repair", "statistics", "two_towers"),
    ("repair", "", "tied_functional"),
    ("knowledge_distillation", "softened", "two_towers"),
    ("knowledge_distillation", "softened", "unet"),
}
FIGURE = {"lstm": "accuracy", "tied_functional": "accuracy", "two_towers": "f1", "unet": "iou"}

every_model = pytest.mark.parametrize("name", NAMES)


@cache
def brought(name: str) -> Workload:
    return Workload.from_reference(REFERENCES[name])


@every_model
@every_form
def test_every_method_applies_or_says_why_not(method: type[Method], form: Form, name: str) -> None:
    workload, step = brought(name), gentle(method, form)
    refused = {(method.name, f, name) for f in ("", form.name)} & REFUSED
    if refused:
        with pytest.raises(CannotApply, match=f"^{method.name} must .+") as caught:
            Recipe((step,)).apply(workload, device="cpu")
        assert "\n" not in str(caught.value)
        return
    point = measure(workload, Recipe((step,)), protocol=quick("cpu"))
    assert point.score == FIGURE[name]
    for side in (point.original, point.variant):
        assert side[FIGURE[name]].value is not None
        assert side.multiply_adds.value is not None
        assert side.latency_ms.value > 0


@every_model
def test_it_is_built_the_same_in_every_process(name: str) -> None:
    again = Workload.from_reference(REFERENCES[name])
    assert again.fingerprint == brought(name).fingerprint
    assert again.splits == SIZES


@pytest.mark.parametrize("name", ["unet", "two_towers", "tied_functional"])
def test_training_lowers_the_loss_that_the_task_brings(name: str) -> None:
    workload = brought(name)
    trained = Recipe((ParameterOptimization("adamw", {"steps": 60, "batch_size": 48, "learning_rate": 0.01}),))
    before, after = (measure(workload, r, protocol=quick("cpu")).variant for r in (Recipe(), trained))
    assert after[FIGURE[name]].value > before[FIGURE[name]].value


def test_intersection_over_union_is_that_of_all_pictures_together() -> None:
    task = brought("unet").task
    outputs = torch.tensor([[[1.0, 1.0]], [[-1.0, 1.0]]])
    targets = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]])
    assert task.score(outputs, targets) == pytest.approx(2 / 4)


def test_f1_of_an_answer_with_several_parts() -> None:
    task = brought("two_towers").task
    outputs = {"logits": torch.tensor([1.0, 1.0, -1.0, -1.0]), "hidden": torch.zeros(4, 10)}
    assert task.score(outputs, torch.tensor([1.0, 0.0, 1.0, 0.0])) == pytest.approx(2 / 4)


X, Y = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
NAMED = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(DataLoader(TensorDataset(X, Y), batch_size=4), id="loader"),
        pytest.param((X.numpy(), Y.numpy()), id="numpy"),
        pytest.param((X.double().numpy(), Y.tolist()), id="doubles and a list"),
        pytest.param([X, Y], id="list"),
        pytest.param(DataLoader(NAMED, batch_size=4), id="mapping"),
    ],
)
def test_data_come_in_any_usual_form(data: object) -> None:
    workload = Workload("made", linear_net(3), "classification", train=data, validation=(X, Y), test=data)
    inputs, targets = workload.test
    assert torch.equal(inputs["x"] if isinstance(inputs, dict) else inputs, X)
    assert torch.equal(targets, Y)
    assert targets.dtype == torch.long


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (X, "the train split must be a pair .*, got Tensor"),
        ((X, Y, Y), "the train split must be a pair .*, got tuple"),
        (("a", "b"), "the train split must be a pair .*, got str"),
        (DataLoader([]), "the train split must hold as many targets as inputs"),
        (
            ({"a": X, "b": X[:2]}, Y),
            "as many targets as inputs and at least one, got 6 and 2",
        ),
    ],
    ids=["tensor", "three", "text", "empty loader", "uneven inputs"],
)
def test_other_data_are_refused_in_one_sentence(data: object, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        Workload("made", linear_net(3), "classification", train=data, validation=(X, Y), test=(X, Y))


def test_a_builder_of_something_else_is_refused() -> None:
    workload = Workload("made", lambda: "net", "classification", train=(X, Y), validation=(X, Y), test=(X, Y))
    with pytest.raises(InvalidInput, match=r"must be a torch.nn.Module or a function .*, got str"):
        workload.model()


def broken() -> Workload:
    raise ZeroDivisionError("no data today")


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("tests.engine.test_foreign:broken", "must build a workload, got ZeroDivisionError: no data today"),
        ("tests.foreign:lstm?width=3", "must build a workload, got TypeError: "),
        ("tests.foreign:UNet", "must return a Workload, got UNet"),
    ],
)
def test_a_function_that_gives_no_workload_is_one_sentence(reference: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        Workload.from_reference(reference)


# A variant made elsewhere.


def test_a_variant_made_elsewhere_is_measured_beside_the_original() -> None:
    workload = brought("unet")
    recipe = Recipe.of([["node_pruning", {"amount": 0.5}]])
    own = measure(workload, recipe, protocol=quick("cpu"))
    other = measure(workload, model=recipe.apply(workload), protocol=quick("cpu"))
    for name in ("parameters", "nonzero", "multiply_adds", "size_bytes", "iou"):
        assert other.variant[name] == own.variant[name], name
    assert other.original.parameters == own.original.parameters
    assert other.content
    assert other.to_dict()["content"] == other.content
    assert "content" not in own.to_dict()


def test_a_variant_is_found_again_in_the_store_by_its_content() -> None:
    from engine import open_store

    workload, store = brought("two_towers"), open_store("sqlite://")
    first = measure(workload, model=workload.model(), protocol=quick("cpu"), store=store)
    again = measure(workload, model=workload.model(), protocol=quick("cpu"), store=store)
    assert again.to_dict() == first.to_dict()
    changed = workload.model()
    with torch.no_grad():
        changed.head.weight.mul_(2)
    assert measure(workload, model=changed, protocol=quick("cpu"), store=store).content != first.content


def test_a_variant_that_answers_in_another_shape_is_refused() -> None:
    from engine import BrokenVariant

    with pytest.raises(BrokenVariant, match=r"must keep the outputs' shape \(2, 1, 16, 16\), got"):
        measure(brought("unet"), model=torch.nn.Conv2d(1, 3, 1), protocol=quick("cpu"))


def test_a_recipe_and_a_model_are_not_measured_at_once() -> None:
    workload = brought("unet")
    with pytest.raises(InvalidInput, match="must be given a recipe or a model, got both"):
        measure(workload, [["weight_pruning", {}]], model=workload.model(), protocol=quick("cpu"))
