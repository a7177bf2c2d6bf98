"""What a reader may do wrong, and what takes long: a sentence or a question, and the next move works."""

from __future__ import annotations

import pytest

from dashboard import cache, measuring
from dashboard.gallery import RECIPES, Start
from dashboard.view import first_view
from sample_models import available_models

from .conftest import PRUNE, OpenPage, Page

AMOUNT = "step0-magnitude_global-amount"
NAMES = ", ".join(available_models())
REFUSED = {
    ("Take layers out", "document_mlp"): "layer_pruning must find layers whose input and output shapes agree",
    ("Narrow, then distil", "document_mlp"): "knowledge_distillation must have class scores to soften",
}
DEAR = ["parameter_optimization", {"form": "adamw", "steps": 10_000}]


def errors(page: Page) -> list[str]:
    return [error.value for error in page.at.error]


def questions(page: Page) -> list[str]:
    """What is asked before it is done."""
    return [button.label for button in page.at.button if button.key in ("pay-point", "pay-curve")]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("nonsense", "The address must hold a view as JSON, got: "),
        ('{"v":1,"model":"resnet152","recipe":[]}', f"Model must be one of {NAMES}; got 'resnet152'"),
        ('{"v":9}', "The address must be of version 1, got '9'"),
        ('{"v":1,"model":"digits_mlp","recipe":[["magic",{}]]}', "Method must be one of "),
        ('{"v":1,"model":"digits_mlp","recipe":[["layer_pruning",{"amount":1}]]}', "Layer_pruning: amount must be "),
        ('{"v":1,"model":"digits_mlp","x":"<script>alert(1)</script>"}', "The horizontal axis must be one of "),
    ],
)
def test_a_broken_address_is_one_sentence_and_the_next_move_works(
    open_page: OpenPage, address: str, sentence: str
) -> None:
    page = open_page(address=address)
    assert len(errors(page)) == 1
    assert errors(page)[0].startswith(sentence)
    assert "\n" not in errors(page)[0]
    assert page.at.query_params["s"] == first_view().to_text()
    assert len(page.cards) == 6
    page.move("slider", AMOUNT, 0.25)
    assert errors(page) == []
    assert page.address["recipe"][0][1]["amount"] == 0.25


def test_a_broken_address_later_keeps_the_last_good_view(open_page: OpenPage) -> None:
    page = open_page([["layer_pruning", {}]], x="parameters")
    good = page.address
    page.at.query_params["s"] = '{"v":1,"model":"digits_mlp","recipe":[["layer_pruning",{"amount":7}]]}'
    page.run()
    assert len(errors(page)) == 1
    assert page.address == good
    page.move("button", "step0-remove")
    assert errors(page) == []
    assert page.steps == []


def test_a_method_that_a_model_refuses_says_why(open_page: OpenPage) -> None:
    page = open_page([["node_pruning", {"protect": ["nowhere"]}]])
    sentence = "node_pruning must be told layers of digits_mlp to protect, got 'nowhere'"
    assert page.at.sidebar.warning[0].value == sentence
    page.wait()
    assert errors(page) == ["N" + sentence[1:]]
    assert f"points could not be measured: {sentence}" in page.texts("warning")
    assert {card.value for card in page.cards} == {"–"}
    page.move("multiselect", "step0-group_norm-protect", [])
    assert page.texts("error", "warning") == ""
    page.wait()
    assert page.figure("Accuracy").endswith(" %")


def test_a_recipe_that_ruins_the_model_says_so(open_page: OpenPage) -> None:
    page = open_page([["parameter_optimization", {"form": "formula", "alpha": 10, "steps": 200, "batch_size": 1}]])
    page.until(lambda: bool(errors(page)))
    assert errors(page)[0].startswith("Step 0 (parameter_optimization) must leave finite weights, got others in ")
    page.move("slider", "step0-formula-alpha", 0.0)
    page.until(lambda: page.figure("Accuracy").endswith(" %"))
    assert errors(page) == []


def test_too_many_steps_are_refused_and_the_recipe_is_kept(open_page: OpenPage) -> None:
    page = open_page([PRUNE] * 32)
    page.move("selectbox", "add", "weight_pruning")
    assert errors(page) == ["A recipe must have at most 32 steps, got 33"]
    assert len(page.steps) == 32
    page.move("button", "step0-remove")
    assert errors(page) == []
    assert len(page.steps) == 31


def now_running() -> str:
    """The kind of job that the worker does just now."""
    running = cache.runner()._running
    return "" if running is None else running.job.kind


@pytest.mark.parametrize("vary", [[0, "steps"], [1, "amount"]], ids=["before", "after"])
def test_nothing_dear_is_trained_before_the_button_is_pressed(open_page: OpenPage, vary: list[object]) -> None:
    page = open_page([DEAR, PRUNE], vary=vary, model="fashion_resnet")
    page.until(lambda: "pay-point" in page.keys("button"))
    assert {card.value for card in page.cards} == {"–"}
    assert questions(page)[0].startswith("Train and measure this recipe, about ")
    assert len(questions(page)) == (2 if vary == [0, "steps"] else 1)
    for _ in range(5):
        page.run()
        assert now_running() == ""
    page.move("button", "pay-point")
    assert "pay-point" not in page.keys("button")
    page.until(lambda: now_running() == "point")
    page.move("button", "step0-remove")  # and what is not wanted any more is not trained on
    page.until(lambda: page.figure("Non-zeros") != "…")
    assert questions(page) == []


def test_a_dear_curve_is_asked_by_itself(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "FEW_SECONDS", 3.0)  # one point takes less, and eleven more
    page = open_page([["node_pruning", {"amount": 0.4}], ["parameter_optimization", {"steps": 30}]], vary=[0, "amount"])
    page.until(lambda: "pay-curve" in page.keys("button"))
    (question,) = questions(page)
    assert question.startswith("Measure the curve: 11 trainings, about ")
    page.until(lambda: page.figure("Accuracy").endswith(" %"))
    assert "cancel" not in page.keys("button")
    page.move("button", "pay-curve")
    assert questions(page) == []
    page.wait()
    curve = next(trace for trace in page.chart()["data"] if trace["name"] == "amount")
    assert len(curve["x"]) == 11


@pytest.mark.parametrize("model", available_models())
@pytest.mark.parametrize("start", RECIPES, ids=[start.title for start in RECIPES])
def test_each_recipe_to_start_from_opens_on_each_model(open_page: OpenPage, start: Start, model: str) -> None:
    page = open_page([], model=model)
    page.move("selectbox", "gallery", RECIPES.index(start))
    assert page.steps == [name for name, _ in start.recipe]
    assert page.address["vary"] == list(start.vary)
    assert page.at.selectbox(key="gallery").value is None
    if (start.title, model) in REFUSED:
        page.until(lambda: bool(page.at.sidebar.warning))
        assert page.at.sidebar.warning[0].value.startswith(REFUSED[start.title, model])
        return
    assert errors(page) == []
    assert page.texts("warning") == ""
