"""What the committed table says of all architectures: how many there are, and how many can be treated."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from torch import nn

from tests.architectures import table as tables
from tests.architectures.every import ARCHITECTURES, architecture
from tests.architectures.matrix import Case, Outcome, cases
from tests.architectures.table import Table

WEIGHTS = ("weight_clipping", "weight_pruning")
FACTORS = ("low_rank",)
# (architecture, method) where a variant is made that cannot run: to be mended, never to be added to
FAULTS: set[tuple[str, str]] = set()


@pytest.fixture(scope="module")
def table() -> Table:
    return Table.read()


def test_there_are_enough_architectures_of_enough_classes(table: Table) -> None:
    assert len(ARCHITECTURES) >= 44
    assert len({type(architecture(name).model()) for name in ARCHITECTURES}) >= 28
    assert set(table.removed) == set(ARCHITECTURES)
    assert {row[0] for row in table.rows} <= set(ARCHITECTURES)


def test_nothing_but_what_is_known_fails_otherwise_than_by_a_refusal(table: Table) -> None:
    assert {row[:2] for row in table.rows if row[4] != "refused"} == FAULTS


def test_every_refusal_is_a_sentence_with_a_reason(table: Table) -> None:
    for row in table.rows:
        if row[4] == "refused":
            assert re.fullmatch(rf"({row[1]}|step 0 \({row[1]}\)) must [^\n]+, got:? [^\n]+", row[5]), row


@pytest.mark.parametrize("method", WEIGHTS)
def test_methods_of_weights_take_every_architecture(table: Table, method: str) -> None:
    assert not table.refusing(method)


def test_nodes_can_be_cut_nearly_everywhere_and_then_many_parameters_go(table: Table) -> None:
    refused = table.refusing("node_pruning")
    taken = [n for n in ARCHITECTURES if n not in refused and table.removed[n]["node_pruning"] >= 0.3]
    assert len(taken) >= max(32, 0.8 * len(ARCHITECTURES)), sorted(set(ARCHITECTURES) - set(taken))


def test_weights_can_be_factored_nearly_everywhere(table: Table) -> None:
    refused = table.refusing("structure_optimization", FACTORS)
    assert len(ARCHITECTURES) - len(refused) >= max(36, 0.9 * len(ARCHITECTURES)), sorted(refused)


def repeats(model: nn.Module) -> bool:
    """Whether layers with several weights follow each other that are alike."""
    for module in model.modules():
        if not isinstance(module, nn.Sequential | nn.ModuleList):
            continue
        kinds = [(type(m), [tuple(p.shape) for p in m.parameters()]) for m in module]
        if any(a == b and len(a[1]) > 2 for a, b in pairwise(kinds)):
            return True
    return False


def test_layers_can_go_wherever_blocks_repeat(table: Table) -> None:
    repeating = {name for name in ARCHITECTURES if repeats(architecture(name).model())}
    assert len(repeating) >= 40
    assert not {row[0] for row in table.rows if row[1] == "layer_pruning" and row[4] == "refused"} & repeating


def outcomes(status: Callable[[Case], str], removed: float = 0.5) -> list[Outcome]:
    """Of the highway net, every case with that status; what is not accepted says why."""
    sizes = (1000, round(1000 * (1 - removed)))
    reasons = {"accepted": "", "refused": "it must be, got none", "broken": "it does not run"}
    return [Outcome(case, status(case), reasons[status(case)], sizes) for case in cases("highway")]


def test_rows_are_as_few_as_say_it() -> None:
    made = Table()
    made.put("highway", outcomes(lambda c: "refused" if c.method in ("node_pruning", "repair") else "accepted"))
    assert sorted(row[1:4] for row in made.rows) == [("node_pruning", "all", "all"), ("repair", "all", "all")]
    made.put("highway", outcomes(lambda c: "refused" if c.form == "statistics" else "accepted"))
    assert [row[1:4] for row in made.rows] == [("repair", "statistics", "all")]
    made.put("highway", outcomes(lambda c: "broken" if c.form == "clamp" and c.strength == "high" else "accepted"))
    assert [row[1:5] for row in made.rows] == [("weight_clipping", "clamp", "high", "broken")]


def test_a_refusal_that_comes_or_goes_or_changes_and_a_share_that_moves_are_differences() -> None:
    made = Table()
    first = outcomes(lambda c: "refused" if c.form == "statistics" else "accepted")
    made.put("highway", first)
    assert not made.differences(first)
    assert len(made.differences(outcomes(lambda c: "accepted"))) == 3
    assert len(made.differences(outcomes(lambda c: "refused" if c.method == "repair" else "accepted"))) == 3
    assert len(made.differences([dataclasses.replace(one, reason=one.reason and "another") for one in first])) == 3
    less = made.differences(outcomes(lambda c: "refused" if c.form == "statistics" else "accepted", removed=0.48))
    assert len(less) == len(tables.REMOVERS)
    assert all("it removed 0.500, and removes 0.480" in said for said in less)


def test_it_is_written_as_it_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(tables, "FILE", tmp_path / "refusals.json")  # type: ignore[operator]
    made = Table()
    made.put("highway", outcomes(lambda c: "refused" if c.form == "statistics" else "accepted"))
    made.write()
    assert Table.read() == made
