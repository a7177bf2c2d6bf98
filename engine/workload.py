"""What is explored: a network, its data, its task."""

from __future__ import annotations

import copy
import hashlib
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from engine.errors import InvalidInput, unknown
from engine.task import TASKS, Task

Split: TypeAlias = tuple[Tensor, Tensor]
Data: TypeAlias = "Split | Dataset[tuple[Tensor, Tensor]]"


class Workload:
    """A network with its data and its task: a sample model and a user's own are the same thing.

    name        a word for the command line and the page
    network     a module, or a function without arguments that builds the trained one
    task        "classification", "regression", "language_modelling", or a Task of your own
    train, validation, test    pairs of tensors (inputs, targets), examples along the first axis, or a Dataset of
                such pairs; methods see train and validation, never test
    classes, hints, about      in `facts`: class names; heads or layers that a method should know; texts for a page

    Raises InvalidInput where a split is empty or its inputs and targets differ in number.
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
        self.train = _tensors(train, "train")
        self.validation = _tensors(validation, "validation")
        self.test = _tensors(test, "test")
        self.classes: tuple[str, ...] = tuple(cast("Sequence[str]", facts.pop("classes", ())))
        self.hints: dict[str, object] = dict(cast("Mapping[str, object]", facts.pop("hints", {})))
        self.about: dict[str, str] = dict(cast("Mapping[str, str]", facts.pop("about", {})))
        self.reference: str | None = None
        self._network = network
        if facts:
            raise unknown("an argument of Workload", next(iter(facts)), ("classes", "hints", "about"))

    def model(self) -> nn.Module:
        """A fresh copy of the original, in eval mode, on the CPU."""
        return copy.deepcopy(self._original)

    @cached_property
    def _original(self) -> nn.Module:
        # an untrained net draws random weights before the trained ones are read
        with torch.random.fork_rng(devices=[]):
            built = self._network if isinstance(self._network, nn.Module) else self._network()
        return copy.deepcopy(built).cpu().eval()

    @property
    def dtype(self) -> str:
        """What the original calculates in: "float32", "bfloat16", ..."""
        found = (p.dtype for p in self._original.parameters() if p.is_floating_point())
        return str(next(found, torch.float32)).removeprefix("torch.")

    @property
    def example(self) -> Tensor:
        """One input as a batch of one."""
        return self.train[0][:1]

    @property
    def splits(self) -> dict[str, int]:
        """How many examples each split holds."""
        return {part: len(getattr(self, part)[1]) for part in ("train", "validation", "test")}

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the weights, the data, the task and the source of the network's classes."""
        digest = hashlib.sha256(self.task.name.encode())
        for key, value in self._original.state_dict().items():
            digest.update(key.encode())
            if isinstance(value, Tensor):
                _feed(digest, value)
        for part in (self.train, self.validation, self.test):
            for tensor in part:
                _feed(digest, tensor)
        for source in sorted(_sources(self._original)):
            digest.update(source.encode())
        return digest.hexdigest()[:16]

    @staticmethod
    def from_reference(reference: str) -> Workload:
        """The workload that `module:function` builds, in any process.

        Raises InvalidInput where the text is not such a reference or does not lead to a workload.
        """
        module, _, function = reference.partition(":")
        try:
            built = getattr(importlib.import_module(module), function)()
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            raise InvalidInput(
                "a workload's reference must be module:function, got {got!r}: {why}", got=reference, why=error
            ) from error
        if not isinstance(built, Workload):
            raise InvalidInput("{got} must return a Workload, got {kind}", got=reference, kind=type(built).__name__)
        built.reference = reference
        return built


def _known_task(name: str) -> Task:
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


def _tensors(data: Data | DataLoader[object], part: str) -> Split:
    """A split as two tensors; a Dataset is read once, in its own order."""
    if isinstance(data, Dataset):
        rows = [data[i] for i in range(len(data))]  # type: ignore[arg-type]
        if not rows:
            return _tensors((torch.empty(0), torch.empty(0)), part)
        data = (torch.stack([torch.as_tensor(x) for x, _ in rows]), torch.stack([torch.as_tensor(y) for _, y in rows]))
    inputs, targets = cast("Split", data)
    if len(inputs) != len(targets) or len(inputs) == 0:
        key = "the {part} split must hold as many targets as inputs and at least one, got {inputs} and {targets}"
        raise InvalidInput(key, part=part, inputs=len(inputs), targets=len(targets))
    return inputs, targets


def _feed(digest: hashlib._Hash, tensor: Tensor) -> None:
    plain = tensor.detach().cpu().contiguous()
    digest.update(f"{plain.dtype}{tuple(plain.shape)}".encode())
    digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b"")


def _sources(model: nn.Module) -> set[str]:
    found = set()
    for kind in {type(module) for module in model.modules()}:
        if kind.__module__.partition(".")[0] == "torch":
            continue
        try:
            found.add(inspect.getsource(kind))
        except (OSError, TypeError):  # typed at a prompt: no source to read
            found.add(kind.__qualname__)
    return found
