"""`secateur check`: for a pipeline that goes on or stops."""

from __future__ import annotations

import pytest

from .conftest import MEMORY, PRUNE, Cli

EASY = ("--min-accuracy", "0.9", "--max-latency-ms", "1000", "--max-parameters", "300000")
CHECK = ("check", "digits_mlp", "--recipe", PRUNE, *MEMORY)


def test_bounds_that_hold_end_with_0(cli: Cli) -> None:
    answer = cli(*CHECK, *EASY)
    assert (answer.status, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["holds", "--min-accuracy"], ["holds", "--max-latency-ms"], ["holds", "--max-parameters"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "limit", "figure"),
    [("--min-accuracy", "0.999", "accuracy"), ("--max-latency-ms", "0.000001", "latency_ms"),
     ("--max-parameters", "273289", "parameters")],
)  # fmt: skip
def test_a_bound_that_fails_ends_with_1_and_is_named(cli: Cli, name: str, limit: str, figure: str) -> None:
    answer = cli(*CHECK, *EASY, name, limit)
    assert answer.status == 1
    (failed,) = [line for line in answer.out.splitlines() if line.startswith("FAILS")]
    assert name in failed
    assert figure in failed
    plain = cli(*CHECK, *EASY, name, limit, "--json")
    assert (plain.status, plain.json["passed"]) == (1, False)
    assert [check["bound"] for check in plain.json["checks"] if not check["holds"]] == [name]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "check must be given a bound, got none"),
        (("--max-parameters", "nan"), "--max-parameters must be a number, got nan"),
        (("--min-accuracy", "much"), "argument --min-accuracy: invalid float value"),
    ],
)
def test_bounds_that_are_none_are_bad_input(cli: Cli, arguments: tuple[str, ...], sentence: str) -> None:
    answer = cli(*CHECK, *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert sentence in answer.err
