"""The whole contract of a method: what it is called, what it may change, what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar, cast

import torch
from torch import nn

from engine.coefficient import Coefficient, Value
from engine.errors import Cancelled, CannotApply, InvalidInput, unknown
from engine.examples import Inputs, Split, batches_of, count, placed, run, take
from engine.form import Form
from engine.memo import Memo
from engine.task import Task
from engine.workload import Workload

T = TypeVar("T")


class Channel:
    """The line back to whoever asked: partial figures out, wishes to stop in. This one is silent."""

    def report(self, partial: Mapping[str, object], at_once: bool = False) -> None:
        """Send partial figures; those that come too fast may be thinned, but not what is sent `at_once`."""

    def due(self) -> bool:
        """Whether figures sent now would be read: making them may cost something."""
        return type(self).report is not Channel.report  # nobody reads what a silent one is told

    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return False

    def enough(self) -> bool:
        """Whether somebody wants what there is so far: a training ends with it."""
        return False

    def check(self) -> None:
        """Raise Cancelled where somebody asked to stop."""
        if self.cancelled():
            raise Cancelled("the job was cancelled")


@dataclass(frozen=True)
class Relay(Channel):
    """The channel that somebody has now, which may change from job to job.

    may_end    whether a training may be ended before its last step just now
    """

    now: Callable[[], Channel]
    may_end: Callable[[], bool]

    def report(self, partial: Mapping[str, object], at_once: bool = False) -> None:
        """Send partial figures."""
        self.now().report(partial, at_once)

    def due(self) -> bool:
        """Whether figures sent now would be read."""
        return self.now().due()

    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self.now().cancelled()

    def enough(self) -> bool:
        """Whether somebody wants what there is so far, and may have it."""
        return self.may_end() and self.now().enough()


@dataclass(frozen=True)
class Context:
    """What a method may use beside the model: train and validation only, so that none can read the test split.

    original    the whole model before the recipe, in eval mode, never to be changed
    memo        what `once` keeps; shared by the points of a sweep, so keys must name all that the value hangs on
    """

    name: str
    task: Task
    train: Split
    validation: Split
    original: nn.Module
    hints: Mapping[str, object]
    device: torch.device
    seed: int = 0
    channel: Channel = field(default_factory=Channel)
    memo: Memo = field(default_factory=Memo)
    prefix: str = ""

    @classmethod
    def of(cls, workload: Workload, device: torch.device, seed: int = 0) -> Context:
        """The context of a workload: its test split is left behind here."""
        original = workload.model().to(device)
        parts = workload.train, workload.validation
        return cls(workload.name, workload.task, *parts, original, workload.hints, device, seed)

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The value that `compute` gave the first time for this key and the steps before this one."""
        return self.memo.once((self.prefix, self.seed, key), compute)

    def score(self, model: nn.Module, batch: int = 256) -> float:
        """The task's score on validation."""
        total = torch.zeros(())
        model.eval()
        with torch.inference_mode():
            for inputs, targets in batches_of(self.validation, batch):
                self.channel.check()
                outputs = run(model, placed(inputs, self.device))
                total = total + self.task.terms(outputs, placed(targets, self.device)).double().sum(0).cpu()
        return float(self.task.finish(total))

    def examples(self, n: int) -> Inputs:
        """The inputs of `n` training examples, drawn by seed, on the device: (n, ...)."""
        chosen = torch.randperm(count(self.train[1]), generator=torch.Generator().manual_seed(self.seed))[:n]
        return placed(take(self.train[0], chosen), self.device)


@dataclass(frozen=True)
class Alone:
    """A model in which a step treated one thing alone.

    layers      paths of the layers that are treated as one
    model       None where they were not treated
    treatable   whether the step could treat them with other coefficients
    reason      why they were not treated
    """

    layers: tuple[str, ...]
    model: nn.Module | None
    treatable: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Method(ABC):
    """A form and its coefficients: the base of every file in engine/methods.

    Raises UnknownName or InvalidCoefficient where the form or a coefficient is not the method's.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    family: ClassVar[str]
    coefficients: ClassVar[tuple[Coefficient, ...]]
    forms: ClassVar[tuple[Form, ...]]
    default_form: ClassVar[str]

    form: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        form = self.form or self.default_form
        known = {f.name: f for f in self.forms}
        if not isinstance(form, str) or form not in known:
            raise unknown(f"the form of {self.name}", form, known)
        object.__setattr__(self, "form", form)
        object.__setattr__(self, "values", self._canonical(known[form]))

    def _canonical(self, form: Form) -> dict[str, Value]:
        by_name = {c.name: c for c in self.coefficients}
        for name in self.values:
            if name not in by_name:
                raise unknown(f"a coefficient of {self.name}", name, ["form", *by_name])
            if name not in form.coefficients:
                raise InvalidInput(
                    "{method}: its form {form} must be given only {used}, got {name}",
                    method=self.name, form=form.name, used=", ".join(form.coefficients), name=name,
                )  # fmt: skip
        return {
            name: by_name[name].validate(self.values.get(name, by_name[name].default), self.name)
            for name in sorted(form.coefficients)
        }

    def __hash__(self) -> int:
        return hash((type(self), self.form, tuple(self.values.items())))

    @property
    def how(self) -> Form:
        """The form in use."""
        return next(f for f in self.forms if f.name == self.form)

    def number(self, name: str) -> float:
        """A coefficient that is a real number or a fraction."""
        return float(cast("float", self.values[name]))

    def whole(self, name: str) -> int:
        """A coefficient that is a count."""
        return int(cast("int", self.values[name]))

    def word(self, name: str) -> str:
        """A coefficient that is a choice."""
        return str(self.values[name])

    def with_value(self, name: str, value: object) -> Method:
        """The same method with one coefficient changed."""
        return type(self)(self.form, {**self.values, name: cast("Value", value)})

    @property
    def neutral(self) -> bool:
        """Whether these coefficients leave any model untouched."""
        still = self.how.neutral
        return still is not None and any(self.values[name] == value for name, value in still.items())

    @abstractmethod
    def edit(self, model: nn.Module, context: Context) -> nn.Module:
        """The changed model.

        `model` is a structural copy that this method owns: it may set attributes and replace tensors, but never
        writes into a tensor, since the original holds the same ones. Raises CannotApply with the reason.
        """

    def things(self, model: nn.Module, context: Context) -> int | None:
        """How many layers or nodes the method acts on in this model, where it acts on such; else None."""
        return None

    def one_by_one(self, model: nn.Module, context: Context, layers: Sequence[str]) -> Iterator[Alone] | None:
        """Copies of the model, in each of which only one of these layers, with all that must go with it, is treated.

        None where a layer that is treated alone is what it is where all are treated: then it is taken from there.
        """
        return None

    def treats(self, model: nn.Module, path: str) -> tuple[bool, str]:
        """Whether the method can change the layer of that path, which has weights, and why it leaves it as it is."""
        return True, ""

    def at_random(self) -> Method | None:
        """The same method, removing as much and choosing at random; None where it does not choose."""
        form = next((f for f in self.forms if f.name == self.how.baseline), None)
        if form is None:
            return None
        kept = {name: value for name, value in self.values.items() if name in form.coefficients}
        if "alpha" in self.values and "amount" in form.coefficients:  # of a formula: the same share
            kept["amount"] = self.values["alpha"]
        return type(self)(form.name, kept)

    def cannot(self, rule: str, **fields: object) -> CannotApply:
        """The error that says why this method cannot treat this model."""
        return CannotApply("{method} " + rule, method=self.name, **fields)

    @classmethod
    def coefficient(cls, name: str) -> Coefficient:
        """The coefficient of that name. Raises UnknownName."""
        for one in cls.coefficients:
            if one.name == name:
                return one
        raise unknown(f"a coefficient of {cls.name}", name, [c.name for c in cls.coefficients])
