"""What the page shows at each stop of the slider, as plain data for another page."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from benchmarks.page_parts.served import AMOUNTS, MODEL, SLIDER, STEP
from dashboard import cache, measuring
from dashboard.charts import curve_chart, figures_of
from dashboard.view import View
from dashboard.views.figures import FIGURES
from dashboard.views.tradeoff import curve_data
from dashboard.words import quantity
from engine import Recipe

COLOURS = {"text": "rgb(49,51,63)", "muted": "rgb(107,109,118)", "background": "rgb(255,255,255)"}


def numbers_of(store: str) -> dict[str, Any]:
    """By amount: the tradeoff chart, and the six figures in words."""
    os.environ[cache.STORE] = store
    cache.stop()
    try:
        return {f"{amount:g}": _at(amount) for amount in AMOUNTS}
    finally:
        cache.stop()
        del os.environ[cache.STORE]


def _at(amount: float) -> dict[str, Any]:
    view = View(MODEL, Recipe.of([[STEP[0], {**STEP[1], SLIDER: amount}]]), vary=(0, SLIDER))
    wishes, queue = measuring.wishes_of(view), cache.runner()
    jobs = [wishes.original, wishes.here, *wishes.points]
    queue.look_up(jobs)
    outcomes = {job.key: queue.outcome(job) for job in jobs}
    text = curve_chart(curve_data(view, wishes, outcomes)).to_json()
    figures = figures_of(outcomes[wishes.here.key].result, "variant")
    names = [*(name for name, _ in FIGURES), "accuracy"]
    texts = [quantity(figures[name].value, figures[name].unit) for name in names]  # type: ignore[arg-type]
    return {"figure": json.loads(re.sub(r"var\(--st-([a-z]+)\)", lambda m: COLOURS[m[1]], text)), "texts": texts}
