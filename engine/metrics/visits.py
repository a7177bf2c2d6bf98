"""Which modules run in which order, and how single ones are made to answer from memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from engine.examples import Inputs, run

Forward: TypeAlias = Callable[..., Any]


@dataclass(frozen=True)
class Visit:
    """One run of one module.

    path             the module's
    entered, left    where its beginning and its end stand among all beginnings and ends
    made             what it gave, where that is one tensor of floating-point numbers
    """

    path: str
    entered: int
    left: int
    made: Tensor | None


def visits_of(model: nn.Module, inputs: Inputs) -> list[Visit]:
    """Every module's runs, the whole model's aside, in the order in which they end."""
    clock, found = count(), list[Visit]()

    def noting(path: str, forward: Forward) -> Forward:
        def noted(*args: Any, **kwargs: Any) -> Any:
            entered = next(clock)
            answer = forward(*args, **kwargs)
            whole = isinstance(answer, Tensor) and answer.is_floating_point()
            found.append(Visit(path, entered, next(clock), answer.clone() if whole else None))
            return answer

        return noted

    paths = [path for path, _ in model.named_modules() if path]
    with forwards(model, dict.fromkeys(paths, noting)):
        run(model, inputs)
    return found


@contextmanager
def forwards(model: nn.Module, changes: Mapping[str, Callable[[str, Forward], Forward]]) -> Iterator[None]:
    """The modules of those paths with another forward pass for a while, made of their own.

    No hooks: a module of torch's that has some takes another way, whose numbers differ in the last place.
    """
    modules = {path: model.get_submodule(path) for path in changes}
    before = {path: vars(module).get("forward") for path, module in modules.items()}
    try:
        for path, module in modules.items():
            vars(module)["forward"] = changes[path](path, module.forward)
        yield
    finally:
        for path, module in modules.items():
            if before[path] is None:
                vars(module).pop("forward", None)
            else:
                vars(module)["forward"] = before[path]


@dataclass(frozen=True)
class Station:
    """A module whose answer is all that the rest of the model needs of what runs before it.

    before    the modules that are done by then, none of them part of another
    """

    path: str
    before: tuple[str, ...]
    left: int
    bytes_each: int  # of its answer to one example


@dataclass(frozen=True)
class Passed:
    """What was seen at a station for one batch: its answer, and the kinds of tensors that were made before."""

    value: Tensor
    kinds: Mapping[str, tuple[torch.Size, torch.dtype]]


def station_at(visit: Visit, visits: Sequence[Visit], examples: int) -> Station | None:
    """The station where this module ends; None where it runs more than once, or does not give one tensor."""
    times = Counter(one.path for one in visits)
    if visit.made is None or times[visit.path] > 1:
        return None
    done = [one for one in visits if one.left < visit.entered]
    whole = [one for one in done if not any(o.entered < one.entered and one.left < o.left for o in done)]
    before = tuple(one.path for one in whole if one.made is not None and times[one.path] == 1)
    return Station(visit.path, before, visit.left, visit.made.nbytes // examples)


def pass_by(model: nn.Module, stations: Sequence[Station], inputs: Inputs) -> tuple[Any, dict[str, Passed]]:
    """The model's answer, and what is seen at the stations."""
    kinds: dict[str, tuple[torch.Size, torch.dtype]] = {}
    seen: dict[str, Passed] = {}
    ends = {station.path for station in stations}

    def noting(path: str, forward: Forward) -> Forward:
        def noted(*args: Any, **kwargs: Any) -> Any:
            answer = forward(*args, **kwargs)
            if isinstance(answer, Tensor):
                kinds[path] = answer.shape, answer.dtype
                if path in ends:
                    seen[path] = Passed(answer.clone(), kinds)
            return answer

        return noted

    paths = ends.union(*(station.before for station in stations))
    with forwards(model, dict.fromkeys(paths, noting)):
        return run(model, inputs), seen


def begin_at(model: nn.Module, station: Station, passed: Passed, inputs: Inputs) -> Any:
    """The model's answer, where what runs before the station is left out: it gives no numbers, NaN for each."""

    def nothing(path: str, _: Forward) -> Forward:
        shape, dtype = passed.kinds[path]
        return lambda *_args, **_kwargs: passed.value.new_full(shape, torch.nan, dtype=dtype)

    def from_memory(_path: str, _: Forward) -> Forward:
        return lambda *_args, **_kwargs: passed.value.clone()

    with forwards(model, {**dict.fromkeys(station.before, nothing), station.path: from_memory}):
        return run(model, inputs)
