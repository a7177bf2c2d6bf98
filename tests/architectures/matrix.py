"""Every form of every method on every architecture, at three strengths: what becomes of each."""

from __future__ import annotations

import signal
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from engine import BrokenVariant, Coefficient, Context, Form, Method, Recipe, SecateurError, available_methods
from engine.errors import first_line
from engine.examples import main_tensor, run, take
from tests.architectures.every import ARCHITECTURES, architecture

STRENGTHS = ("low", "middle", "high")
FIXED = {"steps": 2, "batch_size": 8, "examples": 16}  # so that a case takes no longer than it must
BATCHES = (1, 3)
LIMIT_S = 20  # for one case; some models send torch-pruning round in circles
# Of the cover's two minutes these took a half.
DEAR = frozenset(
    ("bart", "marian", "mobilenet_v1", "mobilenet_v2", "pegasus", "regnet", "segformer", "swin", "t5", "whisper")
)
FORMS = [(method, form) for method in available_methods().values() for form in method.forms]


@dataclass(frozen=True, order=True)
class Case:
    """One form at one strength on one architecture."""

    architecture: str
    method: str
    form: str
    strength: str

    def __str__(self) -> str:
        return "-".join((self.architecture, self.method, self.form, self.strength))

    @property
    def recipe(self) -> Recipe:
        method = available_methods()[self.method]
        form = next(f for f in method.forms if f.name == self.form)
        knob = main_knob(method, form)
        fixed = {name: value for name, value in FIXED.items() if name in form.coefficients}
        return Recipe((method(form.name, fixed | {knob.name: strengths(knob, form)[STRENGTHS.index(self.strength)]}),))


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    status      "accepted", "refused", "broken" (a variant that cannot run was made) or "error" (uncaught, or endless)
    reason      of what was not accepted
    parameters  of the original and of the variant
    seconds     that it took
    where       something was raised that is no sentence of the engine's
    """

    case: Case
    status: str
    reason: str = ""
    parameters: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    where: str = ""

    @property
    def removed(self) -> float:
        """The share of the parameters that is gone."""
        return 1 - self.parameters[1] / self.parameters[0] if self.parameters[0] else 0.0


class Hangs(BaseException):
    """A case took too long; nothing that catches errors may catch this."""


def main_knob(method: type[Method], form: Form) -> Coefficient:
    """The coefficient that says how strongly: one that moves a figure, else one that can be neutral, else any."""
    order = [*form.effect.monotone, *(form.neutral or {}), *form.coefficients]
    numeric = [name for name in order if method.coefficient(name).numeric]
    return method.coefficient(next((name for name in numeric if name not in FIXED), numeric[0]))


def strengths(knob: Coefficient, form: Form) -> list[object]:
    """Three values, the last the strongest that a slider offers; none that leaves a model untouched."""
    still = (form.neutral or {}).get(knob.name)
    _, way = form.effect.monotone.get(knob.name, ("", -1))  # what can only fall is strongest at the top
    values: list[object] = list(knob.grid(3 if still is None else 4))
    if still == values[-1] or (still is None and way > 0):
        values.reverse()
    return [value for value in values if value != still]


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise Hangs after so many seconds, where the system can."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: object) -> None:
        raise Hangs(f"it took more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@lru_cache(maxsize=2)
def context_of(name: str) -> Context:
    """One context for all cases of an architecture, as the points of a sweep share one."""
    return Context.of(architecture(name), torch.device("cpu"))


def outcome(case: Case, limit: float = LIMIT_S) -> Outcome:
    """Apply the case's recipe, and run what it gives."""
    began = time.perf_counter()

    def ended(status: str, reason: str = "", parameters: tuple[int, int] = (0, 0), where: str = "") -> Outcome:
        return Outcome(case, status, reason, parameters, time.perf_counter() - began, where)

    try:
        with limited(limit):
            context = context_of(case.architecture)
            variant = case.recipe.apply_in(context)
            sound(variant, case.architecture)
    except SecateurError as error:
        grew = "finite weights" in str(error)  # a step that is too large is told so
        return ended("broken" if isinstance(error, BrokenVariant) and not grew else "refused", str(error))
    except Hangs as hang:
        return ended("error", str(hang), where=_where(hang))
    except Exception as error:  # whatever it is, it should have been a sentence of the engine's
        return ended("error", f"{type(error).__name__}: {first_line(error)}", where=_where(error))
    return ended("accepted", parameters=(size(context.original), size(variant)))


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and "/lib/python" not in f.filename]
    places = [f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in (*own[-2:], frames[-1])]
    return " > ".join(dict.fromkeys(places))


def size(model: nn.Module) -> int:
    """How many numbers it holds, a tied one once."""
    return sum(p.numel() for p in model.parameters())


def sound(variant: nn.Module, name: str) -> None:
    """Raise AssertionError where it does not run forward and backward at two batch sizes, as the original does."""
    workload, original = architecture(name), context_of(name).original
    learning = [p for p in variant.parameters() if p.requires_grad]
    for n in BATCHES:
        x, y = (take(side, slice(n)) for side in workload.train)
        with torch.enable_grad():
            answer = run(variant, x)
            loss = workload.task.loss(answer, y)
            slopes = torch.autograd.grad(loss, learning, allow_unused=True)
        with torch.no_grad():
            wanted = main_tensor(run(original, x)).shape
        assert main_tensor(answer).shape == wanted, "the outputs have another shape"
        assert any(slope is not None for slope in slopes), "no parameter has a gradient"


def cases(name: str) -> list[Case]:
    """Every case of an architecture."""
    return [Case(name, method.name, form.name, strength) for method, form in FORMS for strength in STRENGTHS]


def cover(name: str) -> list[Case]:
    """Some of them: over all architectures each pair of form and strength, of architecture and strength, and of
    architecture and form is met; of the dear architectures every other form.
    """
    place = sorted(ARCHITECTURES).index(name)
    return [
        Case(name, method.name, form.name, STRENGTHS[(place + i) % len(STRENGTHS)])
        for i, (method, form) in enumerate(FORMS)
        if name not in DEAR or (place + i) % 2 == 0
    ]


def outcomes(chosen: Iterable[Case]) -> Iterator[Outcome]:
    """What becomes of each; after two cases of one method that hung on one architecture, its others are not tried."""
    hung: dict[tuple[str, str], int] = {}
    for case in chosen:
        key = case.architecture, case.method
        if hung.get(key, 0) >= 2:
            yield Outcome(case, "error", "not tried, since two before it hung")
            continue
        found = outcome(case)
        hung[key] = hung.get(key, 0) + (found.seconds > LIMIT_S)
        yield found
