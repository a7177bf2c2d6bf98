"""Bad input: exit status 2, one sentence on standard error, nothing on standard output."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_models import available_models
from tests.devices import CUDA

from .conftest import MEMORY, PRUNE, Cli

NAMES = ", ".join(available_models())
MEASURE = ("measure", "digits_mlp", *MEMORY)
SWEEP = ("sweep", "digits_mlp", *MEMORY, "--recipe", PRUNE)
NO_CUDA = [] if CUDA else [(("--device", "cuda"), "device must be one of cpu; got 'cuda'")]

RECIPES = [
    ('[["magic", {}]]', "method must be one of knowledge_distillation, "),
    ('[["weight_pruning", {"form": "magic"}]]', "the form of weight_pruning must be one of "),
    ('[["weight_pruning", {"form": ""}]]', "the form of weight_pruning must be one of "),
    ('[["weight_pruning", {"strength": 1}]]', "a coefficient of weight_pruning must be one of "),
    ('[["weight_pruning", {"form": "formula", "amount": 0.5}]]', "weight_pruning: its form formula must be given only"),
    ('[["weight_pruning", {"amount": 1.5}]]', "weight_pruning: amount must be at least 0 and below 1, got 1.5"),
    ('[["weight_pruning", {"amount": -0.1}]]', "weight_pruning: amount must be at least 0 and below 1, got -0.1"),
    ('[["weight_pruning", {"amount": NaN}]]', "weight_pruning: amount must be finite, got nan"),
    ('[["weight_pruning", {"amount": Infinity}]]', "weight_pruning: amount must be finite, got inf"),
    ('[["weight_pruning", {"amount": 1e999}]]', "weight_pruning: amount must be finite, got inf"),
    ('[["weight_pruning", {"amount": "half"}]]', "weight_pruning: amount must be a number, got 'half'"),
    ('[["weight_pruning", {"amount": true}]]', "weight_pruning: amount must be a number, got True"),
    ('[["weight_pruning", {"amount": 0.5}]', "a recipe must be a JSON list of [method, {coefficient: value}]: "),
    ('{"weight_pruning": {}}', "a recipe must be a list of steps, got {"),
    ("[3]", "step 0 must be [method, {coefficient: value}], got 3"),
    ("[" * 3000, "a recipe must be a JSON list of [method, {coefficient: value}]: "),
    ("", "a recipe must be a JSON list of [method, {coefficient: value}]: "),
    ("no/such/file.json", "--recipe must be a JSON list or a file that holds one, got 'no/such/file.json': "),
    (".", "--recipe must be a JSON list or a file that holds one, got '.': "),
    ("x" * 5000, "--recipe must be a JSON list or a file that holds one, got 'xxx"),
    ('[["layer_pruning", {"form": "formula", "alpha": 1.0}]]', "layer_pruning: alpha must be at least 0 and below 1,"),
    ('[["parameter_optimization", {"steps": 1.5}]]', "parameter_optimization: steps must be a whole number, got 1.5"),
    ('[["parameter_optimization", {"steps": -1}]]', "parameter_optimization: steps must be at least 0 and at most "),
    ('[["node_pruning", {"protect": ["nowhere"]}]]', "node_pruning must be told layers of digits_mlp to protect, got "),
    ('[["weight_clipping", {"scale": "big"}]]', "weight_clipping: scale must be one of "),
]
OPTIONS = [
    *NO_CUDA,
    (("--device", "tpu"), "device must be one of cpu"),
    (("--device", ""), "device must be one of cpu"),
    (("--batch", "0"), "batch must be a whole number from 1 to 65536, got 0"),
    (("--batch", "-4"), "batch must be a whole number from 1 to 65536, got -4"),
    (("--batch", "x"), "argument --batch: invalid int value: 'x'; see secateur measure --help"),
    (("--threads", "0"), "threads must be a whole number from 1 to 1024, got 0"),
    (("--store", "nonsense"), "the store must be a database that can be opened, got 'nonsense': "),
    (("--store", "sqlite:////no/such/folder/x.sqlite"), "the store must be a database that can be opened, got "),
    (("--store", "nosuch://host/db"), "the store must be a database that can be opened, got 'nosuch://host/db': "),
    (("--magic",), "unrecognized arguments: --magic; see secateur --help"),
    (("two\nlines",), "unrecognized arguments: two lines; see secateur --help"),
]
SWEEPS = [
    ((), "the following arguments are required: --vary; see secateur sweep --help"),
    (("--vary", "nonsense"), "--vary must be STEP.COEFFICIENT such as 0.amount, got 'nonsense'"),
    (("--vary", "amount"), "--vary must be STEP.COEFFICIENT such as 0.amount, got 'amount'"),
    (("--vary", "0."), "--vary must be STEP.COEFFICIENT such as 0.amount, got '0.'"),
    (("--vary", "-1.amount"), "argument --vary: expected one argument; see secateur sweep --help"),
    (("--vary", "²amount"), "--vary must be STEP.COEFFICIENT such as 0.amount, got '²amount'"),
    (("--vary", "9" * 5000 + ".amount"), "--vary must be STEP.COEFFICIENT such as 0.amount, got '999"),
    (("--vary", "9.amount"), "a step must be one of the recipe's (0 to 0), got 9"),
    (("--vary", "0.form"), "a coefficient of weight_pruning must be one of "),
    (("--vary", "0.alpha"), "weight_pruning: its form magnitude_global must be given only amount, got alpha"),
    (("--vary", "0.amount", "--points", "0"), "points must be a whole number from 1 to 1000, got 0"),
    (("--vary", "0.amount", "--points", "-3"), "points must be a whole number from 1 to 1000, got -3"),
    (("--vary", "0.amount", "--points", "1001"), "points must be a whole number from 1 to 1000, got 1001"),
    (("--vary", "0.amount", "--points", "2.5"), "argument --points: invalid int value: '2.5'; see "),
    (("--vary", "0.amount", "--from", "0.9", "--to", "0.1"), "weight_pruning (step 0): the start of a range must lie "),
    (("--vary", "0.amount", "--from", "nan"), "weight_pruning (step 0): amount must be finite, got nan"),
    (("--vary", "0.amount", "--to", "1.5"), "weight_pruning (step 0): amount must be at least 0 and below 1, got 1.5"),
    (("--vary", "0.amount", "--to", "much"), "argument --to: invalid float value: 'much'; see secateur sweep --help"),
    (("--vary", "0.amount", "--csv", "/no/such/folder/x.csv"), "--csv must be a file that can be written, got "),
    (("--vary", "0.amount", "--csv", "."), "--csv must be a file that can be written, got '.': "),
]
COMMANDS = [
    ((), "the following arguments are required: COMMAND; see secateur --help"),
    (("magic",), "argument COMMAND: invalid choice: 'magic'"),
    (("measure",), "the following arguments are required: MODEL; see secateur measure --help"),
    (
        ("measure", "digits"),
        f"model must be one of {NAMES}; got 'digits', did you mean 'digits_mlp'?",
    ),
    (("measure", "../../etc/passwd"), f"model must be one of {NAMES}; got '../../etc/passwd'"),
    (("sweep", "digits_mlp", "--vary", "0.amount"), "the following arguments are required: --recipe; see "),
    (("sweep", "magic", "--recipe", PRUNE, "--vary", "0.amount"), f"model must be one of {NAMES}"),
    (("run", "--port", "0"), "--port must be a whole number from 1 to 65535, got 0"),
    (("run", "--port", "99999"), "--port must be a whole number from 1 to 65535, got 99999"),
    (("run", "--port", "web"), "argument --port: invalid int value: 'web'; see secateur run --help"),
]


def refused(cli: Cli, *arguments: str) -> str:
    """The one sentence with which a command is refused."""
    answer = cli(*arguments)
    assert answer.status == 2
    assert answer.out == ""
    assert answer.err.endswith("\n")
    assert len(answer.err.splitlines()) == 1
    assert len(answer.err) < 700
    prefix, _, sentence = answer.err.partition(": ")
    assert prefix == "secateur"
    return sentence


@pytest.mark.parametrize(("recipe", "sentence"), RECIPES, ids=[recipe[:50] for recipe, _ in RECIPES])
@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["text", "json"])
def test_a_bad_recipe(cli: Cli, recipe: str, sentence: str, as_json: tuple[str, ...]) -> None:
    assert refused(cli, *MEASURE, *as_json, "--recipe", recipe).startswith(sentence)


@pytest.mark.parametrize(("options", "sentence"), OPTIONS, ids=[" ".join(options) for options, _ in OPTIONS])
def test_a_bad_option(cli: Cli, options: tuple[str, ...], sentence: str) -> None:
    assert refused(cli, *MEASURE, *options).startswith(sentence)


@pytest.mark.parametrize(("options", "sentence"), SWEEPS, ids=[" ".join(options)[:60] for options, _ in SWEEPS])
def test_a_bad_sweep(cli: Cli, options: tuple[str, ...], sentence: str) -> None:
    assert refused(cli, *SWEEP, *options).startswith(sentence)


@pytest.mark.parametrize(("arguments", "sentence"), COMMANDS, ids=[" ".join(given) for given, _ in COMMANDS])
def test_a_bad_command(cli: Cli, arguments: tuple[str, ...], sentence: str) -> None:
    assert refused(cli, *arguments).startswith(sentence)


def test_bad_input_leaves_no_file(cli: Cli, data_home: Path, tmp_path: Path) -> None:
    """What is refused is refused before anything is written."""
    file = tmp_path / "points.csv"
    refused(cli, "sweep", "digits_mlp", "--recipe", PRUNE, "--vary", "9.amount", "--csv", str(file))
    refused(cli, "measure", "digits", "--recipe", PRUNE)
    assert not file.exists()
    assert not data_home.exists()


def test_a_file_that_is_no_store_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("My notes, which are no database. " * 100)
    sentence = refused(cli, "measure", "digits_mlp", "--store", f"sqlite:///{file}")
    assert sentence.startswith("the store must be a database that can be opened, got ")
    assert file.read_text() == "My notes, which are no database. " * 100


def test_a_data_folder_that_cannot_be_made_is_told(cli: Cli, data_home: Path) -> None:
    data_home.write_text("a file where a folder should be")
    assert refused(cli, "measure", "digits_mlp").startswith("the user's data folder must be writable, got: ")
