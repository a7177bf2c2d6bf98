"""What is explored: a network, its data, its task."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TypeAlias, cast
from urllib.parse import parse_qsl, urlencode

import torch
from torch import Tensor, nn

from engine.errors import InvalidInput, SecateurError, first_line, shown_text, unknown
from engine.examples import Data, Inputs, count, dtype_name, read_split, take
from engine.fingerprint import fingerprint_of
from engine.task import TASKS, Task

Decode: TypeAlias = Callable[[Tensor], str]
KEPT_WORKLOADS = 16  # with their data, to which all that is measured of them goes back
FACTS = ("classes", "hints", "about", "decode")


class Workload:
    """A network with its data and its task: a sample model and a user's own are the same thing.

    name        a word for the command line and the page
    network     a module, or a function without arguments that builds the trained one
    task        "classification", "regression", "language_modelling", or a Task of your own
    train, validation, test    pairs (inputs, targets) of tensors or arrays, examples along the first axis, or a
                Dataset or DataLoader of such pairs; several inputs are a tuple (the model's arguments) or a mapping
                (its keywords). Methods see train and validation, never test
    facts       classes: their names; hints: heads or layers that a method should know; about: texts for a page;
                decode: a language model's codes (length,) as text

    Raises InvalidInput where a split is empty, is not such a pair, or its inputs and targets differ in number.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module | Callable[[], nn.Module],
        task: str | Task,
        *,
        train: Data,
        validation: Data,
        test: Data,
        **facts: object,
    ) -> None:
        self.name = name
        self.task = task if isinstance(task, Task) else _known_task(task)
        self.train = read_split(train, "train")
        self.validation = read_split(validation, "validation")
        self.test = read_split(test, "test")
        self.classes: tuple[str, ...] = tuple(cast("Sequence[str]", facts.pop("classes", ())))
        self.hints: dict[str, object] = dict(cast("Mapping[str, object]", facts.pop("hints", {})))
        self.about: dict[str, str] = dict(cast("Mapping[str, str]", facts.pop("about", {})))
        self.decode: Decode | None = cast("Decode | None", facts.pop("decode", None))
        self.reference: str | None = None
        self._network = network
        if facts:
            raise unknown("an argument of Workload", next(iter(facts)), FACTS)

    def with_own(self, network: nn.Module | None = None, test: Data | None = None) -> Workload:
        """The same with another network or test split; it has no reference of its own yet."""
        made = copy.copy(self)
        made.about, made.hints, made.reference = dict(self.about), dict(self.hints), None
        for cached in ("_original", "fingerprint"):
            made.__dict__.pop(cached, None)
        made._network = self._network if network is None else network
        made.test = self.test if test is None else read_split(test, "test")
        return made

    def model(self) -> nn.Module:
        """A fresh copy of the original, in eval mode, on the CPU."""
        return copy.deepcopy(self._original)

    @cached_property
    def _original(self) -> nn.Module:
        # an untrained net draws random weights before the trained ones are read
        with torch.random.fork_rng(devices=[]):
            built = self._network if isinstance(self._network, nn.Module) else self._network()
        if not isinstance(built, nn.Module):
            raise InvalidInput(
                "the network of {name} must be a torch.nn.Module or a function without arguments that builds one, "
                "got {kind}", name=self.name, kind=type(built).__name__,
            )  # fmt: skip
        return copy.deepcopy(built).cpu().eval()

    @property
    def dtype(self) -> str:
        """What the original calculates in: "float32", "bfloat16", ..."""
        found = (p.dtype for p in self._original.parameters() if p.is_floating_point())
        return dtype_name(next(found, torch.float32))

    @property
    def example(self) -> Inputs:
        """One input as a batch of one."""
        return take(self.train[0], slice(1))

    @property
    def splits(self) -> dict[str, int]:
        """How many examples each split holds."""
        return {part: count(getattr(self, part)[1]) for part in ("train", "validation", "test")}

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the network, the data, the task, and the source of their code."""
        splits = self.train, self.validation, self.test
        return fingerprint_of(self._original, splits, self.task)

    @staticmethod
    def from_reference(reference: str) -> Workload:
        """The workload that `module:function` builds, in any process; `?name=text&...` behind it are its arguments.

        Raises InvalidInput where the text is not such a reference or does not lead to a workload.
        """
        path, _, query = reference.partition("?")
        module, _, function = path.partition(":")
        key = "a workload's reference must be module:function, got {got!r}: {why}"
        try:
            builder = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, ValueError, TypeError, SyntaxError) as error:
            raise InvalidInput(key, got=shown_text(reference), why=first_line(error)) from error
        try:
            built = builder(**dict(parse_qsl(query)))
        except SecateurError:
            raise
        except Exception as error:  # somebody else's code: whatever it raises is one sentence here
            raise InvalidInput(
                "{got} must build a workload, got {kind}: {why}",
                got=shown_text(path), kind=type(error).__name__, why=first_line(error),
            ) from error  # fmt: skip
        if not isinstance(built, Workload):
            raise InvalidInput("{got} must return a Workload, got {kind}", got=path, kind=type(built).__name__)
        built.reference = reference
        return built


@lru_cache(maxsize=KEPT_WORKLOADS)
def shared_workload(reference: str) -> Workload:
    """The workload of a reference, built once in this process; nobody may change it."""
    return Workload.from_reference(reference)


def reference_to(function: str, **arguments: str) -> str:
    """The reference `module:function?name=text&...`; arguments that are empty are left out."""
    query = urlencode({name: text for name, text in arguments.items() if text})
    return f"{function}?{query}" if query else function


def _known_task(name: str) -> Task:
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]
