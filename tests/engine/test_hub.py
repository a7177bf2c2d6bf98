# ruff: noqa: F401, F811  fixtures come from hub_models
from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.modules.batchnorm import _BatchNorm

from engine import BrokenVariant, CannotApply, Form, Method, Recipe, Workload, measure
from engine.examples import run
from engine.sources import tables
from engine.sources.tables import read_picture
from tests.contract.cases import every_form, gentle
from tests.engine.hub_models import (
    COLOURS,
    EACH,
    MODELS,
    MOODS,
    NOUNS,
    WORDS,
    Made,
    loaded,
    loaded_from,
    made,
    no_network,
    pictures,
    rows,
    table,
    threads_end,
)
from tests.engine.quick import quick

every_model = pytest.mark.parametrize("model", MODELS)


@every_model
def test_it_is_what_was_saved(model: str, loaded: Callable[[str], Workload]) -> None:
    workload = loaded(model)
    assert workload.name == model
    assert workload.splits == {"train": 18, "validation": 6, "test": 6}
    assert workload.dtype == "float32"
    assert set(workload.about) == {"title", "what", "data", "licence", "trained"}
    writes = workload.task.name == "language_modelling"
    assert writes == (model in ("gpt2", "llama", "llama_grouped", "opt"))
    assert workload.classes == (() if writes else tuple(COLOURS) if model in ("vit", "resnet") else tuple(MOODS))
    inputs, targets = workload.test
    with torch.no_grad():
        outputs = run(workload.model(), inputs)
    assert outputs.shape == (*targets.shape, len(WORDS) if writes else len(workload.classes))


@every_model
def test_no_content_is_in_two_splits(model: str, made: Made, loaded: Callable[[str], Workload]) -> None:
    read = tables.read_pictures if model in ("vit", "resnet") else tables.read_texts
    keys = [{e.key for e in part} for part in read(made(model)[1]).values()]
    assert [len(part) for part in keys] == [18, 6, 6]
    assert len(set.union(*keys)) == 30


@every_model
def test_equal_fingerprints_and_equal_data_when_built_twice(
    model: str, made: Made, loaded: Callable[[str], Workload]
) -> None:
    assert loaded_from(*made(model)).fingerprint == loaded(model).fingerprint


@every_model
def test_it_is_measured(model: str, loaded: Callable[[str], Workload]) -> None:
    recipe = '[["weight_pruning", {"amount": 0.5}]]'
    point = measure(loaded(model), recipe, device="cpu", protocol=quick())
    assert point.variant.multiply_adds.value == point.original.multiply_adds.value > 10_000
    assert point.variant.nonzero.value < point.original.nonzero.value


@every_model
@every_form
def test_every_form_applies_or_says_why_not(
    method: type[Method], form: Form, model: str, loaded: Callable[[str], Workload]
) -> None:
    try:
        variant = Recipe((gentle(method, form),)).apply(loaded(model), device="cpu")
    except (CannotApply, BrokenVariant) as refusal:
        said = str(refusal)
    else:
        assert run(variant, loaded(model).example).isfinite().all()
        return
    assert "\n" not in said
    assert " must " in said
    if form.name == "statistics":
        assert not any(isinstance(module, _BatchNorm) for module in loaded(model).model().modules())
        return
    assert model in ("gpt2", "gpt2_classifier")  # whose layers are of transformers' own kind, Conv1D


@pytest.mark.parametrize(("model", "parts"), [
    ("llama", {"q_proj": 8, "k_proj": 8, "v_proj": 8, "o_proj": 16, "gate_proj": 16, "up_proj": 16, "down_proj": 16}),
    ("llama_grouped", {"gate_proj": 16, "up_proj": 16, "down_proj": 16}),  # all heads share the one key: it stays
])  # fmt: skip
def test_a_writers_heads_and_feed_forward_parts_narrow(
    model: str, parts: dict[str, int], loaded: Callable[[str], Workload]
) -> None:
    workload = loaded(model)
    variant = Recipe.parse('[["node_pruning", {"amount": 0.5}]]').apply(workload, device="cpu")
    changed = {
        name: tensor.shape[0]
        for (name, tensor), old in zip(variant.named_parameters(), workload.model().parameters(), strict=True)
        if tensor.shape != old.shape
    }
    assert {name.rsplit(".", 2)[1]: rows for name, rows in changed.items()} == parts


def test_a_language_models_inputs_and_targets(loaded: Callable[[str], Workload]) -> None:
    workload = loaded("gpt2")
    inputs, targets = workload.train
    assert inputs["input_ids"].shape == targets.shape
    assert torch.equal(inputs["input_ids"][:, 1:], targets[:, :-1].clamp_min(0))
    assert workload.decode is not None
    assert workload.decode(targets[0]).startswith(tuple(f"{noun} was" for noun in NOUNS))


def test_padding_is_masked_and_no_target(made: Made, tmp_path: Path) -> None:
    lines = [{"text": "the film was so so so great" if i % 2 else f"the film {'was ' * (i + 1)}"} for i in range(12)]
    workload = loaded_from(made("gpt2")[0], table(tmp_path, ".csv", lines))
    inputs, targets = workload.train
    length = inputs["attention_mask"].sum(1)
    assert length.unique().numel() > 1
    for mask, codes, n in zip(inputs["attention_mask"], targets, length, strict=True):
        assert mask.tolist() == [1] * int(n) + [0] * (mask.numel() - int(n))
        assert (codes[:n] >= 0).all()
        assert (codes[n:] == -1).all()


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".ndjson"])
def test_the_same_rows_in_another_file_are_the_same_data(
    suffix: str, made: Made, loaded: Callable[[str], Workload], tmp_path: Path
) -> None:
    again = loaded_from(made("bert")[0], table(tmp_path, suffix))
    assert again.fingerprint == loaded("bert").fingerprint


def test_labels_that_look_like_fractions_are_whole_numbers(
    made: Made, loaded: Callable[[str], Workload], tmp_path: Path
) -> None:
    lines = [row | {"label": f"{sorted(MOODS).index(row['label'])}.0"} for row in rows()]
    assert loaded_from(made("bert")[0], table(tmp_path, ".csv", lines)).fingerprint == loaded("bert").fingerprint


@pytest.mark.parametrize("mode", ["I;16", "L"])
def test_a_grey_gradient_stays_one_whatever_its_depth(tmp_path: Path, mode: str) -> None:
    levels = np.arange(256, dtype=np.uint16)[None].repeat(4, axis=0)
    array = levels * 257 if mode == "I;16" else levels.astype(np.uint8)
    Image.fromarray(array).save(tmp_path / "grey.png")
    assert np.array_equal(np.asarray(read_picture(tmp_path / "grey.png", "L")), levels)


def test_labels_by_number_are_those_by_name(made: Made, loaded: Callable[[str], Workload], tmp_path: Path) -> None:
    numbered = [{"sentence": row["text"], "y": list(MOODS).index(row["label"])} for row in rows()]
    for suffix in (".csv", ".parquet", ".jsonl"):
        path = table(tmp_path, suffix, numbered)
        assert loaded_from(made("bert")[0], path).fingerprint == loaded("bert").fingerprint


def test_parts_that_somebody_made_stay_and_test_keeps_what_is_in_two(tmp_path: Path) -> None:
    lines = rows()
    table(tmp_path, ".csv", lines[:20], "train")
    table(tmp_path, ".csv", lines[15:25], "val")
    table(tmp_path, ".csv", lines[24:], "test")
    parts = {part: {e.value for e in examples} for part, examples in tables.read_texts(tmp_path).items()}
    texts = [row["text"] for row in lines]
    assert parts == {"train": set(texts[:15]), "validation": set(texts[15:24]), "test": set(texts[24:])}
    (tmp_path / "test.csv").unlink()
    assert len(tables.read_texts(tmp_path)["test"]) == 4  # a fifth of train


def test_pictures_in_parts(tmp_path: Path) -> None:
    for seed, part in enumerate(("train", "valid", "test")):
        pictures(tmp_path / part, seed)
    assert {part: len(found) for part, found in tables.read_pictures(tmp_path).items()} == {
        "train": 3 * EACH, "validation": 3 * EACH, "test": 3 * EACH,
    }  # fmt: skip
    assert sum(map(len, tables.read_pictures(tmp_path, most=9).values())) == 9


def test_pictures_come_out_as_the_processor_says(made: Made, loaded: Callable[[str], Workload]) -> None:
    inputs, targets = loaded("vit").train
    means = torch.stack([inputs["pixel_values"][targets == i].mean(dim=(0, 2, 3)) for i in range(3)])
    wanted = torch.tensor(list(COLOURS.values())) / 255 * 2 - 1  # rescaled, less 0.5, by 0.5
    assert (means - wanted).abs().max() < 0.1


def test_the_licence_of_a_card(made: Made, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made("vit")[0], tmp_path / "with a card"))
    (folder / "README.md").write_text("---\ntags:\n- x\nlicense: apache-2.0\n---\nlicense: no\n", "utf-8")
    workload = loaded_from(folder, made("vit")[1])
    assert workload.about["licence"] == "apache-2.0"
    assert workload.name == "with-a-card"


def test_the_engine_is_imported_without_transformers() -> None:
    code = "import sys, engine, engine.sources.hub; sys.exit(any(m in sys.modules for m in ('transformers', 'pandas')))"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0
