"""What the points of a curve begin with alike is run once: the activations up to the first module that differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from engine.examples import Inputs, Split, count, named, placed, run, take, tensors_of
from engine.metrics.visits import Passed, Station, Visit, begin_at, pass_by, station_at, visits_of

Ask: TypeAlias = Callable[[nn.Module, Inputs, int], Any]  # a model, a batch and its number -> the model's answer

MOST_BYTES = 2**29  # of answers that are kept
MOST_RESIDENT = 2**30  # bytes of inputs
MOST_TRIES = 8  # of modules that are tried as a station
MOST_STATIONS = 16
FEW = 2  # examples with which it is tried whether a model may begin at a station


def ask_whole(model: nn.Module, inputs: Inputs, _: int) -> Any:
    """The whole forward pass."""
    return run(model, inputs)


class Begun:
    """One split on its device, and one model's activations on it, for models that begin as it does.

    reference     the model
    split         what is evaluated, in one and the same order and batches each time
    everywhere    whether the reference's own evaluation is kept at many places, for models that differ in one place
                  each; else a model's is kept where it begins to differ, for the next of its kind

    A model begins at a station only where, tried on a few examples, it answers bit for bit as from its start, also
    after it has run on others; and the first batch is answered both ways before any other is trusted.
    """

    def __init__(
        self, reference: nn.Module, split: Split, device: torch.device, everywhere: bool = False, most: int = MOST_BYTES
    ) -> None:
        self.device = device
        self._reference, self._everywhere, self._most = reference, everywhere, most
        self.split = _resident(split, device)
        self._n = count(split[1])
        self._visits: list[Visit] | None = None
        self._kept: dict[tuple[str, int], Passed] = {}
        self._trusted: set[str] = set()
        self._tried: dict[tuple[str, ...], bool] = {}
        self.answered = 0  # batches, from a station on

    def plan(self, model: nn.Module) -> Ask:
        """How the model is asked for the batches of the split; to be called in inference mode, in eval mode."""
        try:
            return self._planned(model)
        except (RuntimeError, AttributeError, TypeError, ValueError, KeyError):  # a model's own code, run in parts
            return ask_whole

    def _planned(self, model: nn.Module) -> Ask:
        if self._n < 2 * FEW:
            return ask_whole
        if self._visits is None:
            self._visits = visits_of(self._reference, self._few(0))
        if model is self._reference:
            return _Noting(self, self._many(model)) if self._everywhere else ask_whole
        alike = _alike(self._reference, model, self._visits)
        if not self._reached(alike):
            return ask_whole
        visits = visits_of(model, self._few(0))
        alike = min(alike, _together(self._visits, visits))
        for visit in self._reached(alike)[-MOST_TRIES:][::-1]:
            station = self._station(model, visit, visits)
            if station is not None:
                return _Beginning(self, station) if self._has(station) else _Noting(self, [station])
        return ask_whole

    def _reached(self, alike: int) -> list[Visit]:
        """Where a model that is the same until then may begin."""
        reached = [visit for visit in self._visits or () if visit.left < alike and visit.made is not None]
        return [visit for visit in reached if not self._everywhere or (visit.path, 0) in self._kept]

    def _station(self, model: nn.Module, visit: Visit, visits: Sequence[Visit]) -> Station | None:
        same = next((one for one in visits if one.path == visit.path), None)
        if same is None or same.made is None or visit.made is None or not torch.equal(same.made, visit.made):
            return None
        station = station_at(same, visits, FEW)
        fits = station is not None and station.bytes_each * self._n <= self._most
        if station is None or not fits:
            return None
        key = (station.path, *_order(visits))  # a model that runs the same modules behaves the same there
        if key not in self._tried:
            self._tried[key] = self._works(model, station)
        return station if self._tried[key] else None

    def _works(self, model: nn.Module, station: Station) -> bool:
        """Whether the model answers the same from the station on, whatever it has seen in between."""
        answer, seen = pass_by(model, [station], self._few(0))
        run(model, self._few(1))
        return _equal(answer, begin_at(model, station, seen[station.path], self._few(0)))

    def _many(self, model: nn.Module) -> list[Station]:
        """Stations all along the reference, as many as there is room for."""
        visits = self._visits or []
        outer = sorted(visits, key=lambda visit: visit.path.count("."))[:MOST_STATIONS]
        found = [s for v in sorted(outer, key=lambda v: v.left) if (s := self._station(model, v, visits)) is not None]
        while len(found) > MOST_STATIONS or sum(station.bytes_each for station in found) * self._n > self._most:
            found = found[1::2]
        return found

    def _few(self, which: int) -> Inputs:
        return placed(take(self.split[0], slice(which * FEW, (which + 1) * FEW)), self.device)

    def _has(self, station: Station) -> bool:
        return (station.path, 0) in self._kept

    def at(self, station: Station, batch: int) -> Passed | None:
        """What was seen there."""
        return self._kept.get((station.path, batch))

    def keep(self, path: str, batch: int, passed: Passed) -> None:
        """Keep what was seen; what was kept at another place goes where there is no room for both."""
        held = sum(one.value.nbytes for one in list(self._kept.values()))
        if not self._everywhere and held + passed.value.nbytes > self._most:
            for key in [key for key in list(self._kept) if key[0] != path]:
                self._kept.pop(key, None)
        self._kept[path, batch] = passed

    def trusts(self, station: Station, batch: int, whole: Callable[[], Any], begun: Callable[[], Any]) -> Any:
        """The answer from the station on; the first time held against the whole one."""
        answer = begun()
        if station.path not in self._trusted:
            wanted = whole()
            if not _equal(answer, wanted):
                self._kept.pop((station.path, batch), None)
                return wanted
            self._trusted.add(station.path)
        self.answered += 1
        return answer


def _resident(split: Split, device: torch.device) -> Split:
    """The split with its inputs on the device, once for all models, where they leave room for these."""
    inputs, targets = split
    size = sum(tensor.nbytes for tensor in named(inputs).values())
    return (placed(inputs, device), targets) if size <= MOST_RESIDENT else split


class _Noting:
    """Asks for the whole, and keeps what is seen at some stations."""

    def __init__(self, begun: Begun, stations: Sequence[Station]) -> None:
        self._begun, self._stations = begun, stations

    def __call__(self, model: nn.Module, inputs: Inputs, batch: int) -> Any:
        answer, seen = pass_by(model, self._stations, inputs)
        for path, passed in seen.items():
            self._begun.keep(path, batch, passed)
        return answer


class _Beginning:
    """Begins at a station where the batch has been seen there, else notes what is seen."""

    def __init__(self, begun: Begun, station: Station) -> None:
        self._begun, self._station = begun, station
        self._noting = _Noting(begun, [station])

    def __call__(self, model: nn.Module, inputs: Inputs, batch: int) -> Any:
        passed = self._begun.at(self._station, batch)
        if passed is None:
            return self._noting(model, inputs, batch)
        return self._begun.trusts(
            self._station, batch,
            lambda: run(model, inputs), lambda: begin_at(model, self._station, passed, inputs),
        )  # fmt: skip


def _alike(one: nn.Module, other: nn.Module, visits: Sequence[Visit]) -> int:
    """Up to where in the order of the first's visits all modules are the same in both."""
    if not _same(one, other):
        return 0
    theirs = dict(other.named_modules())
    for visit in sorted(visits, key=lambda visit: visit.entered):
        if visit.path not in theirs or not _same(one.get_submodule(visit.path), theirs[visit.path]):
            return visit.entered
    return len(visits) * 2


def _same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules have the same kind, settings and tensors, those of their parts aside."""
    if one is other:
        return True
    if type(one) is not type(other) or one.extra_repr() != other.extra_repr():
        return False
    for mine, theirs in ((one._parameters, other._parameters), (one._buffers, other._buffers)):
        if mine.keys() != theirs.keys():
            return False
        pairs = ((mine[name], theirs[name]) for name in mine)
        if not all(a is b or (isinstance(a, Tensor) and isinstance(b, Tensor) and _is(a, b)) for a, b in pairs):
            return False
    return True


def _is(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


def _together(one: Sequence[Visit], other: Sequence[Visit]) -> int:
    """Up to where both run the same modules in the same order."""
    for place, (a, b) in enumerate(zip(_order(one), _order(other), strict=False)):
        if a != b:
            return place
    return 2 * min(len(one), len(other))


def _order(visits: Sequence[Visit]) -> Iterator[str]:
    marks = [(v.entered, f"> {v.path}") for v in visits] + [(v.left, f"< {v.path}") for v in visits]
    return (mark for _, mark in sorted(marks))


def _equal(one: object, other: object) -> bool:
    """Bit for bit, what is no number among them."""
    pairs = list(zip(tensors_of(one), tensors_of(other), strict=False))
    same = [a.shape == b.shape and bool(torch.isclose(a, b, 0, 0, equal_nan=True).all()) for a, b in pairs]
    return bool(pairs) and len(tensors_of(one)) == len(tensors_of(other)) and all(same)
