"""Trained models with their data: one file each, written as a user would write their own."""

from __future__ import annotations

import pkgutil
from functools import cache

from engine import Workload, unknown

NOT_MODELS = frozenset({"django_strings", "files", "parts", "pretrained", "training"})


@cache
def available_models() -> tuple[str, ...]:
    """The names of the sample models: found by looking in the folder."""
    names = {info.name for info in pkgutil.iter_modules(__path__)} - NOT_MODELS
    return tuple(sorted(names))


def reference(name: str) -> str:
    """The text from which any process can build the model of that name again. Raises UnknownName."""
    if name not in available_models():
        raise unknown("model", name, available_models())
    return f"{__name__}.{name}:workload"


def load(name: str) -> Workload:
    """The sample model of that name with its data. Raises UnknownName."""
    return Workload.from_reference(reference(name))


__all__ = ["available_models", "load", "reference"]
