"""What a model did with every example of a split, small enough to be kept."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from engine.metrics.record import Estimate
from engine.metrics.resampling import resampled_sums

BINS = 15
DTYPES = {"terms": np.float32, "predicted": np.int32, "confidence": np.float32}


@dataclass(frozen=True)
class Answers:
    """For every example, in the split's order.

    terms         (examples, k): what it adds to the score
    predicted     (examples,): the class that the model says; None where it says none
    confidence    (examples,): the share that the model gives to that class
    """

    terms: Tensor
    predicted: Tensor | None = None
    confidence: Tensor | None = None

    def to_dict(self) -> dict[str, object]:
        """As text: packed, for there are thousands of numbers a point."""
        return {
            name: {"shape": list(tensor.shape), "packed": _packed(tensor, dtype)}
            for name, dtype in DTYPES.items()
            if (tensor := getattr(self, name)) is not None
        }

    def of(self, places: Tensor) -> Answers:
        """Those to some of the examples."""
        found = {name: tensor[places] for name in DTYPES if (tensor := getattr(self, name)) is not None}
        return Answers(**found)

    @classmethod
    def from_dict(cls, plain: dict[str, object]) -> Answers:
        """What `to_dict` gave."""
        return cls(**{name: _unpacked(cast("dict[str, object]", value), DTYPES[name]) for name, value in plain.items()})


def calibration_error(answers: Answers, seed: int = 0) -> Estimate:
    """How far confidence is from how often it is right: Σ_b n_b / n · |right_b − confidence_b| over 15 equal bins.

    With a bootstrap 95 % interval over examples. Source: Guo et al. 2017, arXiv 1706.04599.
    """
    if answers.predicted is None or answers.confidence is None:
        return Estimate.missing("the task has no classes", "fraction")
    if not bool(answers.confidence.isfinite().all()):
        return Estimate.missing("the model's outputs are not finite", "fraction")
    n = len(answers.predicted)
    gap = answers.terms[:, 0].double() - answers.confidence.double()  # examples
    bins = (answers.confidence * BINS).long().clamp(0, BINS - 1)
    in_bins = torch.zeros(n, BINS, dtype=torch.float64).scatter_(1, bins[:, None], gap[:, None])
    drawn = resampled_sums(in_bins, seed).abs().sum(1) / n
    return Estimate.drawn(float(in_bins.sum(0).abs().sum()) / n, drawn, n, "fraction")


def _packed(tensor: Tensor, dtype: type) -> str:
    return base64.b64encode(zlib.compress(tensor.cpu().numpy().astype(dtype).tobytes(), 6)).decode()


def _unpacked(plain: dict[str, object], dtype: type) -> Tensor:
    raw = zlib.decompress(base64.b64decode(str(plain["packed"])))
    return torch.from_numpy(np.frombuffer(raw, dtype).reshape(cast("list[int]", plain["shape"])).copy())
