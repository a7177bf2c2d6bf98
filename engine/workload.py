"""What is explored: a network, its data, its task."""

from __future__ import annotations

import copy
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache, partial
from typing import TypeAlias, cast
from urllib.parse import parse_qsl, urlencode

import torch
from torch import Tensor, nn

from engine.errors import InvalidInput, SecateurError, first_line, shown, shown_text, unknown
from engine.examples import Data, Inputs, Split, count, dtype_name, read_split, take
from engine.fingerprint import fingerprint_of
from engine.task import TASKS, Task

Decode: TypeAlias = Callable[[Tensor], str]
KEPT_WORKLOADS = 16  # with their data, to which all that is measured of them goes back
FACTS = ("classes", "hints", "about", "decode")
NAME = re.compile(r"[\w][\w. -]{0,99}")  # a ":" or "~" would make a reference or an upload of it


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
        if not isinstance(name, str) or not NAME.fullmatch(name):
            key = "a workload's name must be a word of letters, digits, dots, - and _, got {got}"
            raise InvalidInput(key, got=shown_text(repr(name)))
        self.name = name
        self.task = task if isinstance(task, Task) else _known_task(task)
        wide = isinstance(network, nn.Module) and _dtype(network) == torch.float64
        read = partial(_read, self.task, torch.float64 if wide else torch.float32)
        self.train, self.validation, self.test = (
            read(train, "train"),
            read(validation, "validation"),
            read(test, "test"),
        )
        self.classes, self.hints, self.about, self.decode = _facts(facts)
        self.reference: str | None = None
        self._network = network

    def with_own(self, network: nn.Module | None = None, test: Data | None = None) -> Workload:
        """The same with another network or test split; it has no reference of its own yet."""
        made = copy.copy(self)
        made.about, made.hints, made.reference = dict(self.about), dict(self.hints), None
        for cached in ("_original", "chance", "fingerprint"):
            made.__dict__.pop(cached, None)
        made._network = self._network if network is None else network
        made.test = self.test if test is None else _read(self.task, torch.float32, test, "test")
        return made

    def model(self) -> nn.Module:
        """A fresh copy of the original, in eval mode, on the CPU."""
        return copy.deepcopy(self._original)

    @cached_property
    def _original(self) -> nn.Module:
        # an untrained net draws random weights before the trained ones are read
        with torch.random.fork_rng(devices=[]):
            built = self._network if isinstance(self._network, nn.Module) else self._built()
        if not isinstance(built, nn.Module):
            raise InvalidInput(
                "the network of {name} must be a torch.nn.Module or a function without arguments that builds one, "
                "got {kind}", name=self.name, kind=type(built).__name__,
            )  # fmt: skip
        with _said_by("the network of {name} must be a module that can be copied", self.name):
            return copy.deepcopy(built).cpu().eval()

    def _built(self) -> object:
        with _said_by("the network of {name} must be built by its function", self.name):
            return cast("Callable[[], object]", self._network)()

    @property
    def dtype(self) -> str:
        """What the original calculates in: "float32", "bfloat16", ..."""
        return dtype_name(_dtype(self._original))

    @property
    def example(self) -> Inputs:
        """One input as a batch of one."""
        return take(self.train[0], slice(1))

    @property
    def splits(self) -> dict[str, int]:
        """How many examples each split holds."""
        return {part: count(getattr(self, part)[1]) for part in ("train", "validation", "test")}

    @cached_property
    def chance(self) -> float:
        """What the best constant guess scores on test."""
        with _said_by("the chance of {name} must be a number for its test targets", self.name):
            return float(self.task.chance(self.test[1]))

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
        except (Exception, SystemExit) as error:  # a module of somebody else's: whatever it raises is one sentence here
            raise InvalidInput(key, got=shown_text(reference), why=first_line(error)) from error
        with _said_by("{name} must build a workload", shown_text(path)):
            built = builder(**dict(parse_qsl(query, errors="surrogateescape")))
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
    told = {name: text for name, text in arguments.items() if text}
    query = urlencode(told, errors="surrogateescape")  # a file's name need not be text
    return f"{function}?{query}" if query else function


def _known_task(name: str) -> Task:
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


@contextmanager
def _said_by(key: str, name: str) -> Iterator[None]:
    """Whatever somebody else's code raises is one sentence here."""
    try:
        yield
    except (SecateurError, torch.OutOfMemoryError):
        raise
    except (Exception, SystemExit) as error:
        told = {"name": name, "kind": type(error).__name__, "why": first_line(error)}
        raise InvalidInput(key + ", got {kind}: {why}", **told) from error


def _dtype(network: nn.Module) -> torch.dtype:
    return next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)


def _read(task: Task, wide: torch.dtype, data: Data, part: str) -> Split:
    inputs, targets = read_split(data, part, wide)
    return inputs, task.read(targets, part)


def _facts(facts: dict[str, object]) -> tuple[tuple[str, ...], dict[str, object], dict[str, str], Decode | None]:
    """What else there is to know. Raises InvalidInput or UnknownName where it is of another kind."""
    classes, hints, about = facts.pop("classes", ()), facts.pop("hints", {}), facts.pop("about", {})
    decode = facts.pop("decode", None)
    if facts:
        raise unknown("an argument of Workload", next(iter(facts)), FACTS)
    if isinstance(classes, Iterable) and not isinstance(classes, str):
        classes = list(classes)  # an array of names, too
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    said = isinstance(about, Mapping) and all(isinstance(text, str) for pair in about.items() for text in pair)
    for holds, fact, kind in (
        (named, "classes", "a list of texts"),
        (isinstance(hints, Mapping), "hints", "a mapping"),
        (said, "about", "a mapping of texts to texts"),
        (decode is None or callable(decode), "decode", "a function"),
    ):
        if not holds:
            key = "{fact} of a workload must be {kind}, got {got}"
            got = {"classes": classes, "hints": hints, "about": about, "decode": decode}[fact]
            raise InvalidInput(key, fact=fact, kind=kind, got=shown(got))
    return tuple(map(str, classes)), dict(hints), dict(about), decode  # type: ignore[call-overload, return-value]
