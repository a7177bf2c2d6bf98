"""The row of six figures, each with its interval and its change against the original."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import streamlit as st

from dashboard import cache
from dashboard.charts import figures_of
from dashboard.live_chart import live_figures
from dashboard.measuring import Wishes
from dashboard.words import change, interval, quantity, sentence, t, title
from engine import Estimate, Outcome, Score, Task

# name and label of all but the last, which is the task's score; less of these is better
FIGURES = (
    ("parameters", "Parameters"),
    ("nonzero", "Non-zeros"),
    ("multiply_adds", "Multiply-adds"),
    ("size_bytes", "Size"),
    ("latency_ms", "Latency"),
)
FITS = 16  # letters of a label in a sixth of a narrow page


class Notes(NamedTuple):
    """What stands around a figure: what is known so far and the line below it, how it was measured, a second value,
    whether less is better, whether the change cannot be told from none.
    """

    waiting: tuple[str, str]
    protocol: str
    more: str
    less: bool
    same: bool


def show_original(outcome: Outcome, task: Task) -> None:
    """One line on the model as it is: its size and its score."""
    if outcome.status != "done":
        st.caption(t("The original is being measured …"))
        return
    e = figures_of(outcome.result, "original")
    score = e[task.figure]
    parts = [t("{n} parameters", n=_value(e["parameters"])), _value(e["size_bytes"])]
    parts.append(f"{t(task.scores)} {_value(score)} ({interval(score)})")
    parts += [_named(other, e[other.name]) for other in task.others]
    st.caption(t("The original: {facts}.", facts=" · ".join(parts)))


def show(wishes: Wishes, outcomes: dict[str, Outcome], task: Task, waits: bool) -> None:
    """Draw the six figures of the current recipe, or what is known of them so far.

    task     what the last of them, the score, is called
    waits    the recipe waits for a word of the reader, since it takes long
    """
    here, original = outcomes[wishes.here.key], outcomes[wishes.original.key]
    if here.status == "failed":
        st.error(sentence(here.error), icon=":material/error:")
    before = figures_of(original.result, "original") if original.status == "done" else {}
    after = figures_of(here.result, "variant") if here.status == "done" else {}
    partial = {} if waits or after or here.status == "failed" else cache.runner().partial(wishes.here)
    if after:
        before = figures_of(here.result, "original")
    note = _protocol(here if after else original)
    cards = []
    for name, label in (*FIGURES, (task.figure, task.scores)):
        score = name == task.figure
        new, old = after.get(name), before.get(name)
        same = _indistinct_score(old, new) if score else name == "latency_ms" and _indistinct_time(here)
        more = _others(task, after) if score else _batch(name, after)
        how = note if name != "multiply_adds" else f"{note} {_counted(here)}"
        so_far = ("–", "") if waits or here.status == "failed" else _so_far(partial, name, task if score else None)
        card = _card(label, new, old, Notes(so_far, how, more, not score, same))
        cards.append({"name": name, "unit": old.unit if old else "", **card})
    with st.container(border=True):
        live_figures(cards, key="figures")


def _card(label: str, after: Estimate | None, before: Estimate | None, notes: Notes) -> dict[str, object]:
    """One figure in words: label, value, change with its colour, the line below, and how it was measured."""
    (waiting, line), protocol, more, less, same = notes
    label = label if len(label) <= FITS else label.rpartition(" ")[2]  # the line above has all of it
    shown: dict[str, object] = {"label": t(label[:1].upper() + label[1:]), "help": protocol}
    if after is None:
        below = line or (t("original {value}", value=_value(before)) if before else "")
        return {**shown, "value": waiting, "delta": "", "tone": "", "arrow": "", "note": below, "open": True}
    delta = change(before, after) if before is not None else None
    still = same or delta is None or delta.startswith("±") or after.value == (before.value if before else None)
    up = bool(delta) and not str(delta).startswith("-")
    return {
        **shown, "value": _value(after), "delta": delta or "", "open": False,
        "tone": "" if still else "good" if up != less else "bad", "arrow": "" if still else "up" if up else "down",
        "note": f"{interval(after)}{more}",
        "help": t("The original: {value}. {how}", value=_value(before) if before else "?", how=protocol),
    }  # fmt: skip


def _indistinct_score(old: Estimate | None, new: Estimate | None) -> bool:
    """Whether the score's change may be none: its interval holds the original's value."""
    if not old or not new or None in (old.value, new.low, new.high):
        return False
    return cast("float", new.low) <= cast("float", old.value) <= cast("float", new.high)


def _indistinct_time(here: Outcome) -> bool:
    """Whether the latency's change may be none: its verdict says so."""
    speeds = cast("dict[str, dict[str, dict[str, str]]]", here.result.get("speed", {}))
    return "1" in speeds and speeds["1"]["verdict"]["speed"] == "not distinguishable"


def _value(estimate: Estimate) -> str:
    return t("not measured") if estimate.value is None else quantity(estimate.value, estimate.unit)


def _others(task: Task, after: dict[str, Estimate]) -> str:
    """The task's further scores stand under its own."""
    found = [after[other.name] for other in task.others if other.name in after]
    return "".join(f" · {_named(o, e)}" for e, o in zip(found, task.others, strict=False))


def _named(score: Score, estimate: Estimate) -> str:
    """A further score with its name: "2.31 bits per character"."""
    name = title(score.name).removeprefix(f"{estimate.unit} ")
    return f"{_value(estimate)} {name}"


def _counted(here: Outcome) -> str:
    """What a multiply-add is, and which operators are none."""
    found = cast("dict[str, Any]", here.result.get("compute", {}))
    if not found:
        return ""
    names = ", ".join(f"{name.removeprefix('aten.')} ({n})" for name, n in found["uncounted"]["variant"].items())
    return t("A multiply-add is {definition}. Not counted here: {names}.", definition=found["definition"], names=names)


def _batch(name: str, after: dict[str, Estimate]) -> str:
    """Latency at the larger batch stands under the one at batch 1."""
    large = after.get("latency_ms_64")
    packed = after.get("compressed_bytes")
    if name == "size_bytes" and packed is not None and packed.value is not None:
        return t(" · compressed {value}", value=quantity(packed.value, "bytes"))
    if name != "latency_ms" or large is None or large.value is None:
        return ""
    return t(" · batch 64: {value}", value=quantity(large.value, "ms"))


def _so_far(partial: dict[str, object], name: str, task: Task | None) -> tuple[str, str]:
    """A figure's value while the point is being measured, and the line below it.

    task    of the score, where it is that
    """
    if task is not None and isinstance(partial.get("accuracy"), float):
        value = t("{value} …", value=quantity(cast("float", partial["accuracy"]), task.unit))
        seen = {"n": f"{partial['examples']:,}", "of": f"{partial['of']:,}"}
        low, high = partial.get("low"), partial.get("high")
        if not isinstance(low, float) or not isinstance(high, float):
            return value, t("{n} of {of} examples", **seen)
        ends = interval(Estimate(low, low, high, 0, task.unit))
        return value, t("{ends}, {n} of {of} examples", ends=ends, **seen)
    sizes = cast("dict[str, dict[str, object]]", partial.get("figures", {}))
    if name in sizes:
        return _value(Estimate(**sizes[name])), ""  # type: ignore[arg-type]
    if "step" in partial:
        return t("step {step} of {steps}", step=partial["step"], steps=partial["steps"]), ""
    return "…", ""


def _protocol(outcome: Outcome) -> str:
    p = cast("dict[str, object]", outcome.result.get("protocol", {}))
    if not p:
        return t("Being measured.")
    return t(
        "Measured on {device} ({name}), {threads} threads, {dtype}, torch {version}; scored on {n} test examples, "
        "seed {seed}; 95 % intervals.",
        device=p["device"], name=p["device_name"], threads=p["threads"], dtype=p["dtype"],
        version=p["torch_version"], n=f"{p['examples']:,}", seed=p["seed"],
    )  # fmt: skip
