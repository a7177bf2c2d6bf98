"""How a figure is written down: its interval, its unit, and how it was measured."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from engine.errors import InvalidInput, unknown
from engine.metrics.rounds import device_name

# One core is left to the rest of the machine: torch's threads wait for each other by spinning, and where another
# program takes a core from two of them, a training was seen to take 34 s instead of the 4 s of one thread.
DEFAULT_THREADS = max(1, torch.get_num_threads() - 1)
Z95 = 1.959963984540054
PRECISION = 0.01  # a point of accuracy: what a curve on a screen shows
CURVE_WARM_UP, CURVE_ROUNDS, CURVE_S = 1, 3, 0.03


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; exact ones have low = high; a missing one is None with a reason.

    value, low, high    in `unit`
    n                   how many observations it rests on
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    reason: str = ""

    @classmethod
    def exact(cls, value: float, unit: str) -> Estimate:
        """A count: nothing about it is uncertain."""
        return cls(value, value, value, 1, unit)

    @classmethod
    def share(cls, right: int, n: int) -> Estimate:
        """So many of n, with Wilson's interval.

        Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.
        """
        share, z2 = right / n, Z95 * Z95  # by hand: scipy's takes a millisecond, and a point has some fifty of them
        middle, half = share + z2 / (2 * n), Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
        low, high = (middle - half) / (1 + z2 / n), (middle + half) / (1 + z2 / n)
        return cls(share, low if right else 0.0, high if right < n else 1.0, n, "fraction")

    @classmethod
    def drawn(cls, value: float, resamples: Tensor, n: int, unit: str) -> Estimate:
        """A figure with the interval of its resamples (resamples,), which holds it."""
        low, high = resamples.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
        return cls(value, min(low, value), max(high, value), n, unit)

    @classmethod
    def missing(cls, reason: str, unit: str) -> Estimate:
        """A figure that could not be had, and why."""
        return cls(None, None, None, 0, unit, reason)

    def to_dict(self) -> dict[str, object]:
        """As plain data; `reason` only where the value is null."""
        plain = asdict(self)
        if self.value is not None:
            del plain["reason"]
        return plain


@dataclass(frozen=True)
class Protocol:
    """How it was measured: two figures can be compared where these agree.

    batches    batch sizes that are timed, ascending
    threads    of torch, inside one operator
    dtype      of the numbers that both models calculate with: "float32", "bfloat16"; "" is the model's own
    warm_up    runs that are thrown away; then rounds of A B B A, at least `least_rounds` and at most `most_rounds`,
               until the ratio's interval is narrower than ± 2 % or `budget_s` seconds are spent on the batch size
    examples   of the split that were evaluated; 0 stands for all
    precision  half the width of the 95 % interval of the difference from the original, in the score's unit, at which
               the evaluation ends; 0 stands for never
    """

    dtypes: ClassVar[tuple[str, ...]] = ("float32", "bfloat16")

    device: str
    device_name: str
    machine: str
    torch_version: str
    threads: int
    batches: tuple[int, ...] = (1, 64)
    dtype: str = ""
    split: str = "test"
    seed: int = 0
    examples: int = 0
    precision: float = 0.0
    warm_up: int = 5
    least_rounds: int = 10
    most_rounds: int = 150
    budget_s: float = 0.4

    @classmethod
    def here(
        cls,
        device: str | torch.device | None = None,
        batch: int | Sequence[int] | None = None,
        threads: int | None = None,
        dtype: str = "",
    ) -> Protocol:
        """The protocol of this machine; `batch` sizes are timed beside 1 and 64.

        Raises UnknownName or InvalidInput for a device, batch, dtype or number of threads.
        """
        chosen = pick_device(device)
        asked = () if batch is None else batch if isinstance(batch, list | tuple) else (batch,)
        sizes = {1, 64} | {_whole("batch", one, 65536) for one in asked}
        if dtype not in ("", *cls.dtypes):
            raise unknown("dtype", dtype, cls.dtypes)
        count = DEFAULT_THREADS if threads is None else _whole("threads", threads, 1024)
        return cls(
            str(chosen),
            device_name(chosen),
            platform.node() or "unnamed",
            torch.__version__,
            count,
            tuple(sorted(sizes)),
            dtype,
        )

    @property
    def device_kind(self) -> str:
        """`cpu`, `cuda` or `mps`."""
        return self.device.partition(":")[0]

    def of_batch(self, batch: int) -> dict[str, object]:
        """What a latency figure of one batch size hangs on."""
        others = ("batches", "split", "seed", "examples", "precision")
        return {"batch": batch, **{k: v for k, v in asdict(self).items() if k not in others}}

    def along_curve(self, full: bool = False) -> Protocol:
        """The same for a point of a curve: few rounds, and examples until its difference from the original is known.

        full    every example
        """
        return replace(
            self, precision=0.0 if full else PRECISION, warm_up=min(self.warm_up, CURVE_WARM_UP),
            least_rounds=min(self.least_rounds, CURVE_ROUNDS), budget_s=min(self.budget_s, CURVE_S),
        )  # fmt: skip

    def evaluated(self, n: int, of: int) -> Protocol:
        """The same with the number of examples that were evaluated, of so many."""
        return replace(self, examples=n, precision=self.precision if n < of else 0.0)

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {**asdict(self), "batches": list(self.batches)}


@dataclass(frozen=True)
class Measurement:
    """All figures of one model: parameters, nonzero, structural, multiply_adds, size_bytes, latency_ms,
    latency_p90_ms, peak_memory_bytes, the last three for each further batch size (latency_ms_64, ...), accuracy, and
    compressed_bytes.
    """

    figures: Mapping[str, Estimate] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Estimate:
        if name.startswith("_") or name == "figures" or name not in self.figures:
            raise AttributeError(name)
        return self.figures[name]

    def __getitem__(self, name: str) -> Estimate:
        return self.figures[name]

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {name: estimate.to_dict() for name, estimate in self.figures.items()}


def pick_device(asked: str | torch.device | None) -> torch.device:
    """The device of that name; cuda where there is one, else the CPU, where none is named.

    Raises UnknownName where it is not there.
    """
    if asked is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = ["cpu"]
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        there.append("mps")
    if str(asked) not in there:
        raise unknown("device", asked, there)
    return torch.device(asked)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch with so many threads inside one operator, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def in_eval_mode(*models: nn.Module) -> Iterator[None]:
    """Models in eval mode for a while; then each of their modules is in its own mode again."""
    modes = [(module, module.training) for model in models for module in model.modules()]
    for model in models:
        model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _whole(name: str, value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput(
            "{name} must be a whole number from 1 to {most}, got {value}", name=name, most=most, value=value
        )
    return value
