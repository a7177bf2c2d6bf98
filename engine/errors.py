"""What can go wrong, as sentences with fields.

SecateurError                 every error that the engine raises on purpose
├── InvalidInput              the caller's text or value is not allowed
│   ├── UnknownName           no model, method, form, coefficient or device of that name
│   ├── InvalidCoefficient    a value of the wrong kind, out of range or not finite
│   └── MalformedRecipe       text that is not a recipe
├── CannotApply               this method cannot do that to this model, and why
├── BrokenVariant             the recipe leaves a model that cannot run or is not finite
├── StoreUnavailable          the place for the records cannot be opened
└── Cancelled                 somebody asked to stop
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Message:
    """One sentence for a reader: an English template, which is its key for translation, and its fields."""

    key: str
    fields: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.key.format(**self.fields)

    def to_dict(self) -> dict[str, object]:
        """As plain data; every field that is not a number becomes text."""
        plain = {k: v if isinstance(v, int | float) else str(v) for k, v in self.fields.items()}
        return {"key": self.key, "fields": plain}


class SecateurError(Exception):
    """An error whose text is one sentence: what must hold, then what was got."""

    def __init__(self, key: str, **fields: object) -> None:
        self.message = Message(key, fields)
        super().__init__(str(self.message))

    def __reduce__(self) -> tuple[object, ...]:
        # An error crosses from a worker process to the page: rebuilt from its message.
        return _rebuild, (type(self), self.message.key, self.message.to_dict()["fields"])


def _rebuild(kind: type[SecateurError], key: str, fields: dict[str, object]) -> SecateurError:
    return kind(key, **fields)


class InvalidInput(SecateurError, ValueError):
    """The caller's text or value is not allowed."""


class UnknownName(InvalidInput):
    """There is no model, method, form, coefficient or device of that name."""


class InvalidCoefficient(InvalidInput):
    """A value is of the wrong kind, out of range or not finite."""


class MalformedRecipe(InvalidInput):
    """Text is not a recipe."""


class CannotApply(SecateurError):
    """A method cannot do what was asked to this model.

    step    the number of the step in its recipe, once that is known
    """

    step: int | None = None


class BrokenVariant(SecateurError):
    """A recipe leaves a model that cannot run, or whose weights are not finite."""


class StoreUnavailable(SecateurError):
    """The place for the records cannot be opened."""


class Cancelled(SecateurError):
    """Somebody asked to stop."""


def unknown(what: str, got: object, known: Iterable[str]) -> UnknownName:
    """The error for a name that is not there: it lists what there is, and the nearest one."""
    names = sorted(known)
    name = shown_text(got) if isinstance(got, str) else shown(got)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        key = "{what} must be one of {known}; got {got!r}, did you mean {near!r}?"
        return UnknownName(key, what=what, known=", ".join(names), got=name, near=near[0])
    return UnknownName("{what} must be one of {known}; got {got!r}", what=what, known=", ".join(names), got=name)


def shown(value: object) -> str:
    """How a value that was got stands in a sentence: its repr, cut short."""
    try:
        return shown_text(repr(value))
    except (ValueError, RecursionError):  # a whole number of thousands of digits, a list a thousand deep
        return f"a very large {type(value).__name__}"


def shown_text(text: str) -> str:
    """A text that was got, cut short."""
    return text if len(text) <= 60 else text[:57] + "..."


def first_line(error: BaseException, most: int = 200) -> str:
    """What an error says, in one line: the first of its lines, or its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:most]
