"""The methods there are: found by looking in the folder."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache

from engine import methods
from engine.errors import unknown
from engine.method import Method

FAMILIES = ("compression", "pruning", "optimization")


@cache
def available_methods() -> dict[str, type[Method]]:
    """Every method by name, in the order of families, then of names."""
    found: dict[str, type[Method]] = {}
    for info in pkgutil.iter_modules(methods.__path__):
        module = importlib.import_module(f"{methods.__name__}.{info.name}")
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, Method) and kind is not Method and kind.__module__ == module.__name__:
                found[kind.name] = kind
    order = {family: place for place, family in enumerate(FAMILIES)}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[1].family, len(order)), item[0])))


def method_named(name: object) -> type[Method]:
    """The method of that name. Raises UnknownName."""
    known = available_methods()
    if not isinstance(name, str) or name not in known:
        raise unknown("method", name, known)
    return known[name]


def describe_method(kind: type[Method]) -> dict[str, object]:
    """A method as plain data, for `secateur methods --json`."""
    coefficients = [
        {**c.to_dict(), "forms": [f.name for f in kind.forms if c.name in f.coefficients]} for c in kind.coefficients
    ]
    forms = [
        {
            "name": f.name,
            "latex": f.latex,
            "summary": f.summary,
            "source": f.source,
            "coefficients": list(f.coefficients),
        }
        for f in kind.forms
    ]
    return {
        "name": kind.name,
        "title": kind.title,
        "family": kind.family,
        "forms": [f.name for f in kind.forms],
        "default_form": kind.default_form,
        "coefficients": coefficients,
        "form_details": forms,
    }


def source_of(kind: type[Method]) -> str:
    """The text of the method's file: part of the revision under which its figures are kept."""
    return inspect.getsource(inspect.getmodule(kind) or kind)
