"""What differs between two recipes, and what came of it, as sentences."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import cast

from engine.errors import Message
from engine.method import Method
from engine.metrics.record import Estimate
from engine.recipe import Recipe

COUNTED = {
    "parameters": "parameters",
    "nonzero": "non-zero parameters",
    "multiply_adds": "multiply-adds",
    "size_bytes": "bytes",
}


def step_in_words(step: Method) -> str:
    """A step as text, with what is not at its default: "weight_pruning by magnitude_global, amount 0.5"."""
    defaults = {one.name: one.default for one in step.coefficients}
    told = [f"{name} {_shown(value)}" for name, value in step.values.items() if value != defaults[name]]
    return ", ".join([f"{step.name} by {step.form}", *told])


def recipe_in_words(recipe: Recipe) -> str:
    """A recipe as text; the empty one is the original."""
    return "; then ".join(step_in_words(step) for step in recipe) or "the original, unchanged"


def recipes_apart(one: Recipe, two: Recipe) -> tuple[Message, ...]:
    """What differs from one recipe to the other, a sentence each; nothing where they are equal. Steps count from 0."""
    if str(one) == str(two):
        return ()
    firsts, seconds = ([str(Recipe((step,))) for step in recipe] for recipe in (one, two))
    if sorted(firsts) == sorted(seconds):
        order = [" → ".join(step.name for step in recipe) for recipe in (one, two)]
        if order[0] == order[1]:
            order = [" → ".join(step_in_words(step) for step in recipe) for recipe in (one, two)]
        return (Message("the same steps in another order: {one} against {two}", {"one": order[0], "two": order[1]}),)
    names = [[step.name for step in recipe] for recipe in (one, two)]
    found: list[Message] = []
    matcher = difflib.SequenceMatcher(None, names[0], names[1], autojunk=False)
    for _, start, end, other, other_end in matcher.get_opcodes():
        if names[0][start:end] == names[1][other:other_end]:
            for i, j in zip(range(start, end), range(other, other_end), strict=True):
                found += _step_apart(i, one.steps[i], j, two.steps[j])
            continue
        found += _only("only the first has step {index}: {step}", one, range(start, end))
        found += _only("only the second has step {index}: {step}", two, range(other, other_end))
    return tuple(found)


def _only(key: str, recipe: Recipe, places: range) -> list[Message]:
    return [Message(key, {"index": i, "step": step_in_words(recipe.steps[i])}) for i in places]


def _step_apart(index: int, one: Method, other_index: int, two: Method) -> list[Message]:
    """What differs between two steps of one method."""
    where = f"{index}" if index == other_index else f"{index} and {other_index}"
    fields: dict[str, object] = {"index": where, "name": one.name}
    found = []
    if one.form != two.form:
        key = "step {index} ({name}): form {one} against {two}"
        found.append(Message(key, {**fields, "one": one.form, "two": two.form}))
    for name in sorted({*one.values, *two.values}):
        first, second = one.values.get(name), two.values.get(name)
        if name in one.values and name in two.values and first != second:
            key = "step {index} ({name}): {coefficient} {one} against {two}"
            values = {"coefficient": name, "one": _shown(first), "two": _shown(second)}
            found.append(Message(key, {**fields, **values}))
    return found


def _shown(value: object) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(str, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def score_in_words(score: str, change: Estimate) -> Message:
    """How the second's score stands to the first's, with the 95 % interval of the difference."""
    low, high = cast("float", change.low), cast("float", change.high)
    fields: dict[str, object] = {"score": score.replace("_", " "), "interval": _interval(change)}
    if low == high == 0:
        return Message("the very same {score}", fields)
    if low <= 0 <= high:
        return Message("same {score} within the interval ({interval})", fields)
    fields["by"] = _signless(cast("float", change.value), change.unit)
    key = "{score} higher by {by} ({interval})" if low > 0 else "{score} lower by {by} ({interval})"
    return Message(key, fields)


def count_in_words(figure: str, one: float, two: float) -> Message:
    """How a figure that is exact stands to the first's: fewer, more or as many."""
    fields: dict[str, object] = {"things": COUNTED.get(figure, figure.replace("_", " "))}
    if one == two:
        return Message("as many {things}" if figure in COUNTED else "{things} unchanged", fields)
    fields |= {"share": _share(abs(two / one - 1)) if one else "all"}
    if figure in COUNTED:
        return Message("{share} fewer {things}" if two < one else "{share} more {things}", fields)
    return Message("{share} less {things}" if two < one else "{share} more {things}", fields)


def time_in_words(batch: str, ratio: Estimate) -> Message:
    """How the second's time stands to the first's: second / first, with its interval."""
    value, low, high = (cast("float", end) for end in (ratio.value, ratio.low, ratio.high))
    fields: dict[str, object] = {"batch": batch, "low": f"{low:.2f}", "high": f"{high:.2f}"}
    if low <= 1 <= high:
        return Message("no difference in time at batch {batch} ({low} to {high} times)", fields)
    fields["share"] = _share(abs(value - 1))
    key = "{share} less time at batch {batch} ({low} to {high} times)"
    if value > 1:
        key = "{share} more time at batch {batch} ({low} to {high} times)"
    return Message(key, fields)


def joined(messages: Sequence[Message]) -> str:
    """Sentences as one, in English."""
    return ", ".join(map(str, messages))


def _share(value: float) -> str:
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 9.5 else f"{percent:.2g} %" if percent >= 0.01 else "less than 0.01 %"


def _signless(value: float, unit: str) -> str:
    return f"{100 * abs(value):.1f} points" if unit == "fraction" else f"{abs(value):.3g} {unit}"


def _interval(change: Estimate) -> str:
    low, high = cast("float", change.low), cast("float", change.high)
    if change.unit == "fraction":
        return f"{100 * low:+.1f} to {100 * high:+.1f} points"
    return f"{low:+.3g} to {high:+.3g} {change.unit}"
