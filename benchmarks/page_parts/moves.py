"""Moves of a slider in the browser, and what they bring: a painted chart, or frames while it is dragged."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

from playwright.sync_api import Page

PAUSE_S = 0.6  # between two moves: until all that the last one brought has come to rest
WATCH = """([chart, values, x, text]) => {
  const text_ = () => document.querySelectorAll(values)[1]?.textContent === text;
  const own = () => document.querySelector(chart)?._fullData?.find(({ name }) => name === "this recipe")?.x[0] === x;
  const ghost = () => {
    const { guess, x: at } = document.querySelector(`${chart} .live-ghost`)?.dataset ?? {};
    return guess === "" && Math.abs(Number(at) - x) < 1e-4;
  };
  const once = (there) => new Promise((done) => addEventListener("keydown", () => {
    const began = performance.now();
    const painted = () => requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
    const look = () => (there() ? painted() : requestAnimationFrame(look));
    look();
  }, { once: true, capture: true }));
  window.moved = Promise.all([once(() => text_() && (own() || ghost())), once(() => text_() && own())]);
}"""
COUNT = "() => { window.frames_ = 0; const f = () => { window.frames_ += 1; requestAnimationFrame(f) }; f() }"


@dataclass(frozen=True)
class Place:
    """Where a page has its slider, its chart and its figures: selectors."""

    page: Page
    slider: str
    chart: str
    values: str

    def move(self, key: str, x: float, text: str) -> tuple[float, float]:
        """Press an arrow key; milliseconds until that point and that second figure have been painted, with nothing that
        says that they lie between others; and until they are what the server sent.
        """
        time.sleep(PAUSE_S)
        self.page.locator(self.slider).focus()
        self.page.evaluate(WATCH, [self.chart, self.values, x, text])
        self.page.keyboard.press(key)
        first, whole = self.page.evaluate("window.moved")
        return float(first), float(whole)


class Dragged(NamedTuple):
    """What a drag brought.

    steps        values that the slider had on the way
    drawn        how often marker, figures and histogram were drawn anew
    messages     that went to the server
    frames_per_s    that the browser painted meanwhile
    """

    steps: int
    drawn: int
    messages: int
    frames_per_s: float


def drag(place: Place, sent: list[object], pixels: int = 90) -> Dragged:
    """Drag the slider to the right, a pixel a step, and let go of it where it was."""
    page, followed = place.page, "Number(document.documentElement.dataset.followed ?? 0)"
    slider = page.locator(place.slider)
    box = slider.evaluate("i => { const b = i.parentElement.parentElement.getBoundingClientRect(); return b.toJSON() }")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(COUNT)
    sent.clear()
    drawn, began, values = page.evaluate(followed), time.perf_counter(), set[str]()
    for i in range(pixels):
        page.mouse.move(x + i + 1, y)
        values.add(slider.input_value())
    taken = time.perf_counter() - began
    found = Dragged(len(values), page.evaluate(followed) - drawn, len(sent), page.evaluate("frames_") / taken)
    page.mouse.move(x, y)
    page.mouse.up()
    return found
