"""Every sample model there is: found, never listed; the table below says only how good each must be."""

from __future__ import annotations

import json
from functools import cache
from itertools import combinations

import pytest
import torch

from engine import UnknownName, Workload
from engine.metrics.accuracy import all_terms, score_terms
from engine.metrics.score import score_figures
from sample_models import available_models, load, reference
from sample_models.files import HERE, data_file, sha256
from tests.states import bits, contents

# On all shipped test examples. A model without a line here fails.
AT_LEAST = {
    "cancer_mlp": 0.95,
    "character_lm": 0.5,
    "digits_mlp": 0.96,
    "document_mlp": 0.99,
    "fashion_resnet": 0.90,
    "language_transformer": 0.90,
    "spoken_digits": 0.985,
}
SPLITS = {
    "cancer_mlp": {"train": 284, "validation": 114, "test": 171},
    "character_lm": {"train": 8205, "validation": 824, "test": 3189},
    "digits_mlp": {"train": 1000, "validation": 300, "test": 497},
    "document_mlp": {"train": 221, "validation": 88, "test": 133},
    "fashion_resnet": {"train": 5000, "validation": 1000, "test": 2000},
    "language_transformer": {"train": 8205, "validation": 824, "test": 3189},
    "spoken_digits": {"train": 2100, "validation": 300, "test": 600},
}

every_model = pytest.mark.parametrize("name", available_models())


@cache
def loaded(name: str) -> Workload:
    return load(name)


def log(name: str) -> dict:
    return json.loads((HERE / "weights" / f"{name}.log.json").read_text("utf-8"))


def chosen_by(entry: dict) -> str:
    """The key under which the log keeps the score that chose the epoch."""
    return entry["chosen_by"].replace(" ", "_")


@every_model
def test_the_weights_are_those_of_the_log(name: str) -> None:
    assert log(name)["weights_sha256"] == sha256(HERE / "weights" / f"{name}.safetensors")
    assert log(name)["model"] == name


@every_model
def test_the_log_says_how_the_weights_came_about(name: str) -> None:
    entry = log(name)
    assert isinstance(entry["plan"]["seed"], int)
    assert {"torch", "python", "data", "examples", "chosen_by", "curve"} <= entry.keys()
    assert len(entry["curve"]) == entry["plan"]["epochs"]
    name, best = chosen_by(entry), min if "bits" in entry["chosen_by"] else max
    assert entry[name] == pytest.approx(best(epoch[name] for epoch in entry["curve"]), abs=1e-4)


@every_model
def test_the_original_is_as_good_as_it_must_be(name: str) -> None:
    workload = loaded(name)
    terms = score_terms(workload.model(), workload.task, workload.test, torch.device("cpu"))
    assert len(terms) == SPLITS[name]["test"]
    assert workload.task.finish(terms.sum(0)) >= AT_LEAST[name]


@every_model
def test_on_validation_it_is_as_good_as_the_log_says(name: str) -> None:
    workload, entry = loaded(name), log(name)
    found = all_terms(workload.model(), workload.task, workload.validation, torch.device("cpu"))
    estimates = score_figures(found, workload.task)
    scored = estimates["bits_per_character" if "bits" in entry["chosen_by"] else workload.task.figure]
    same = entry["examples"]["validation"] == workload.splits["validation"]  # else a part of it is shipped
    assert scored.value == pytest.approx(entry[chosen_by(entry)], abs=1e-4 if same else 0.03)


@every_model
def test_splits_are_as_large_as_told_and_do_not_overlap(name: str) -> None:
    workload = loaded(name)
    assert workload.splits == SPLITS[name]
    held = {part: {bits(x) for x in getattr(workload, part)[0]} for part in workload.splits}
    for one, other in combinations(held, 2):
        assert not held[one] & held[other], (one, other)


@every_model
def test_data_are_finite_and_every_class_is_in_every_split(name: str) -> None:
    workload = loaded(name)
    for part in workload.splits:
        inputs, targets = getattr(workload, part)
        assert inputs.isfinite().all()
        if workload.classes:
            assert sorted(set(targets.tolist())) == list(range(len(workload.classes)))


@every_model
def test_a_model_is_built_again_from_its_reference(name: str) -> None:
    again = Workload.from_reference(reference(name))
    assert again.reference == loaded(name).reference == reference(name)
    assert again.fingerprint == loaded(name).fingerprint
    assert contents(again.model()) == contents(loaded(name).model())


@every_model
def test_a_page_has_something_to_say_about_it(name: str) -> None:
    workload = loaded(name)
    assert workload.name == name
    assert {"title", "what", "data", "licence", "trained", "confuses"} <= workload.about.keys()
    assert all(text.strip() for text in workload.about.values())


@pytest.mark.parametrize(
    "name", ["nope", "", "files", "training", "django_strings", "pretrained", "digits", "digits_mlp "]
)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UnknownName, match=f"^model must be one of {', '.join(available_models())}; got "):
        load(name)


def test_shipped_data_have_a_licence_and_a_checksum() -> None:
    folders = [folder for folder in (HERE / "data").iterdir() if folder.is_dir()]
    assert folders
    for folder in folders:
        assert (folder / "LICENSE").read_text("utf-8").strip()
        named = {line.split(maxsplit=1)[1] for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines()}
        assert named == {file.name for file in folder.iterdir()} - {"LICENSE", "SHA256SUMS"}


def test_no_script_opens_the_official_test_pictures() -> None:
    scripts = [*HERE.rglob("*.py")]
    assert scripts
    assert not [script.name for script in scripts if "t10k" in script.read_text("utf-8")]


def test_data_that_were_changed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sample_models.files.sha256", lambda path: "0" * 64)
    data_file.cache_clear()
    with pytest.raises(OSError, match="must be the file that was shipped"):
        data_file("fashion/fashion_subset.npz")
