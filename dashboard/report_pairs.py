"""Of a report: each point beside the first."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from dashboard.report_charts import said
from dashboard.words import say, t, title
from engine import Beside, Comparison, Estimate

IN_FULL = 12  # as many pairs are told figure by figure
MOST_PLACES = 100  # of the examples that only one gets right


def pairs(comparison: Comparison) -> Iterable[str]:
    """Each point beside the first: recipes in words, what came of it, every figure, classes and examples."""
    besides = [(number, one) for number, one in enumerate(comparison.besides, 1) if one is not None]
    if not besides:
        return
    yield f"<h2>{escape(t('Beside the first'))}</h2>"
    for number, one in besides:
        yield f"<h3>{escape(t('{number} beside 1', number=number))}</h3>"
        yield "<ul>" + "".join(f"<li>{escape(say(message))}</li>" for message in one.recipes) + "</ul>"
        if one.summary:
            yield f"<p>{escape(_sentence(one))}</p>"
        if one.basis.message is not None:
            yield f'<p class="apart">{escape(say(one.basis.message))}</p>'
        if len(besides) <= IN_FULL:
            yield from _in_full(one, number)


def _sentence(one: Beside) -> str:
    text = ", ".join(say(message) for message in one.summary)
    return text[:1].upper() + text[1:] + "."


def _in_full(one: Beside, number: int) -> Iterable[str]:
    heads = (t("Figure"), "1", str(number), t("Change"), "")
    yield _table(heads, [_row(title(f.name), f.first, f.second, f.change, t(f.verdict)) for f in one.figures])
    answers = one.answers
    if answers is None:
        return
    yield f"<p>{escape(_answers(one, number))}</p>"
    for who, places in (("1", answers.only_first), (str(number), answers.only_second)):
        if places:
            shown = ", ".join(map(str, places[:MOST_PLACES])) + (", …" if len(places) > MOST_PLACES else "")
            told = t("Examples that only {who} gets right, by place in the split: {places}", who=who, places=shown)
            yield f'<p class="muted">{escape(told)}</p>'
    if answers.classes:
        heads = (t("Class"), "1", str(number), t("Change"), t("only 1 / only {number} right", number=number))
        yield _table(
            heads,
            [
                _row(c.name, c.first, c.second, c.difference, f"{c.only_first} / {c.only_second}")
                for c in answers.classes
            ],
        )


def _answers(one: Beside, number: int) -> str:
    answers = one.answers
    if answers is None:
        return ""
    return t(
        "Of {n} examples only 1 gets {first} right and only {number} gets {second} right (p = {p}).",
        n=f"{answers.n:,}", first=len(answers.only_first), number=number, second=len(answers.only_second),
        p=f"{answers.p:.3g}",
    )  # fmt: skip


def _row(name: str, first: Estimate, second: Estimate, change: Estimate, verdict: str) -> str:
    cells = (escape(name), said(first), said(second), _change(change), escape(verdict))
    return "<tr>" + "".join(f'<td class="figure">{cell}</td>' for cell in cells) + "</tr>"


def _change(change: Estimate) -> str:
    """A difference or a ratio with its interval, escaped."""
    if change.value is None or change.low is None or change.high is None:
        return escape(change.reason)
    k, unit = (100.0, t("points")) if change.unit == "fraction" else (1.0, change.unit)
    if change.unit == "ratio":
        return escape(f"× {change.value:.3g} ({change.low:.3g} to {change.high:.3g})")
    ends = "" if change.low == change.high else f" ({k * change.low:+,.6g} to {k * change.high:+,.6g})"
    return escape(f"{k * change.value:+,.6g} {unit}{ends}")


def _table(heads: Iterable[str], lines: Iterable[str]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
