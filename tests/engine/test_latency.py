from __future__ import annotations

import gc
import time
from dataclasses import replace
from itertools import count

import pytest
import torch
from torch import Tensor, nn

from engine import Cancelled, InvalidInput, Protocol, UnknownName
from engine.metrics.latency import PairTimes, time_pair
from engine.metrics.rounds import CHECK_EVERY
from tests.devices import DEVICES
from tests.engine.quick import quick
from tests.methods.nets import Listening
from tests.states import global_state, modes
from tests.tiny import tiny


class Watched(nn.Module):
    """Notes each run, and what is switched on meanwhile; sleeps for a while."""

    def __init__(self, name: str, notes: list[tuple[str, bool, bool, int]], sleep_s: float = 0.0) -> None:
        super().__init__()
        self.name, self.notes, self.sleep_s = name, notes, sleep_s

    def forward(self, x: Tensor) -> Tensor:
        self.notes.append((self.name, self.training, gc.isenabled(), torch.get_num_threads()))
        time.sleep(self.sleep_s)
        return x


def watched(variant_sleeps_s: float = 0.0) -> tuple[Watched, Watched, list[tuple[str, bool, bool, int]]]:
    notes: list[tuple[str, bool, bool, int]] = []
    return Watched("A", notes), Watched("B", notes, variant_sleeps_s), notes


X = torch.ones(1, 3)


def test_a_sleep_in_the_variant_shows() -> None:
    original, variant, _ = watched()
    original.sleep_s, variant.sleep_s = 0.004, 0.016
    figures = time_pair(original, variant, X, quick()).figures()
    assert 2 < figures["ratio"]["median"].value < 5
    assert figures["variant"]["p90"].value >= figures["variant"]["median"].value >= 16
    assert figures["original"]["p90"].value >= figures["original"]["median"].value >= 4


def test_the_two_are_interleaved_after_a_warm_up() -> None:
    original, variant, notes = watched()
    times = time_pair(original, variant, X, replace(quick(), warm_up=2, least_rounds=3, most_rounds=3))
    assert "".join(note[0] for note in notes) == "ABAB" + "ABBA" * 3
    assert times.original.shape == times.variant.shape == (3, 2)


@pytest.mark.parametrize(
    ("least", "most", "budget_s", "sleep_s", "wanted"),
    [(5, 50, 0.0, 0.0, 5), (2, 4, 100.0, 0.0, 4), (2, 100, 0.05, 0.01, 3)],
    ids=["at least", "at most", "time"],
)
def test_rounds_end_as_the_protocol_says(least: int, most: int, budget_s: float, sleep_s: float, wanted: int) -> None:
    original, variant, _ = watched(sleep_s)
    protocol = replace(quick(), least_rounds=least, most_rounds=most, budget_s=budget_s)
    rounds = len(time_pair(original, variant, X, protocol).original)
    assert rounds == pytest.approx(wanted, abs=1 if budget_s == 0.05 else 0)


def test_a_steady_pair_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    original, variant, _ = watched()
    protocol = replace(quick(), least_rounds=5, most_rounds=100, budget_s=100.0)
    monkeypatch.setattr(time, "perf_counter_ns", count(step=1000).__next__)  # each run takes a microsecond
    assert len(time_pair(original, variant, X, protocol).original) == CHECK_EVERY


def test_meanwhile_eval_mode_no_collector_and_the_protocols_threads() -> None:
    original, variant, notes = watched()
    original.train()
    gc.enable()
    before = global_state(), modes(original), modes(variant)
    time_pair(original, variant.train(), X, replace(quick(), threads=2))
    assert {note[1:] for note in notes} == {(False, False, 2)}
    assert (global_state(), modes(original), modes(variant)) == before


def test_all_is_put_back_when_somebody_stops_it() -> None:
    original, variant = (tiny("residual").model().train() for _ in range(2))
    variant.blocks[0].eval()
    before = global_state(), modes(original), modes(variant)

    class Impatient(Listening):
        def cancelled(self) -> bool:
            return True

    with pytest.raises(Cancelled):
        time_pair(original, variant, tiny("residual").example, replace(quick(), threads=2), Impatient())
    assert (global_state(), modes(original), modes(variant)) == before


def test_a_collector_that_was_off_stays_off() -> None:
    original, variant, _ = watched()
    gc.disable()
    try:
        time_pair(original, variant, X, quick())
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_figures_by_hand() -> None:
    original = torch.tensor([[2.0, 2.0]] * 9, dtype=torch.float64)
    variant = torch.tensor([[1.0, 1.0]] * 9, dtype=torch.float64)
    figures = PairTimes(original, variant).figures()
    ratio = figures["ratio"]["median"]
    assert (ratio.value, ratio.low, ratio.high, ratio.n) == (0.5, 0.5, 0.5, 9)
    median = figures["original"]["median"]
    assert (median.value, median.low, median.high, median.n, median.unit) == (2.0, 2.0, 2.0, 18, "ms")
    mixed = PairTimes(torch.arange(1.0, 101, dtype=torch.float64).view(50, 2), variant[:1].repeat(50, 1)).figures()
    assert mixed["original"]["median"].value == 50.5
    assert mixed["original"]["p90"].value == pytest.approx(90.1)


def test_the_intervals_hold_their_values_and_narrow_with_more_rounds() -> None:
    def spread(rounds: int) -> float:
        drawn = torch.rand((2, rounds, 2), dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1
        figures = PairTimes(drawn[0], drawn[1]).figures()
        for side in figures.values():
            for estimate in side.values():
                assert estimate.low <= estimate.value <= estimate.high
        ratio = figures["ratio"]["median"]
        assert ratio.low < 1 < ratio.high
        return ratio.high - ratio.low

    assert spread(200) < 0.6 * spread(20)


@pytest.mark.parametrize("device", DEVICES)
def test_a_real_pair_is_timed_on_its_device(device: str) -> None:
    workload = tiny("conv")
    pair = workload.model().to(device), workload.model().to(device)
    figures = time_pair(*pair, workload.train[0][:4].to(device), quick(device)).figures()
    assert 0 < figures["original"]["median"].value < 1000


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"device": "cuda:99"}, UnknownName, "device must be one of cpu"),
        ({"device": "npu"}, UnknownName, "device must be one of cpu"),
        ({"batch": 0}, InvalidInput, "batch must be a whole number from 1 to 65536, got 0"),
        ({"batch": 2.5}, InvalidInput, "batch must be a whole number from 1 to 65536, got 2.5"),
        ({"batch": True}, InvalidInput, "batch must be a whole number from 1 to 65536, got True"),
        ({"threads": 0}, InvalidInput, "threads must be a whole number from 1 to 1024, got 0"),
        ({"threads": "two"}, InvalidInput, "threads must be a whole number from 1 to 1024, got two"),
    ],
)
def test_a_protocol_that_cannot_be_is_refused(arguments: dict[str, object], error: type, said: str) -> None:
    with pytest.raises(error, match=said.replace(".", r"\.")):
        Protocol.here(**arguments)  # type: ignore[arg-type]


def test_a_protocol_says_how_it_was_measured() -> None:
    protocol = Protocol.here("cpu", batch=16, threads=1)
    plain = protocol.to_dict()
    assert plain["batches"] == [1, 16, 64]
    assert {
        "device",
        "device_name",
        "machine",
        "torch_version",
        "threads",
        "dtype",
        "split",
        "seed",
        "examples",
    } <= set(plain)
    assert (plain["device"], plain["torch_version"], plain["threads"]) == ("cpu", torch.__version__, 1)
    assert protocol.of_batch(1) != protocol.of_batch(16)
    assert replace(protocol, seed=3).of_batch(1) == protocol.of_batch(1)
