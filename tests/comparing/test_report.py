"""The page: it holds all it needs, and nothing in it is believed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import plotly.graph_objects as go
import pytest

from dashboard.charts import method_colour
from dashboard.report import page, write_report
from dashboard.report_charts import FADED, chart
from engine import Bound, Failed, InvalidInput, Message, Point, Recipe, compared, tradeoffs
from tests.comparing.points import RECIPES, otherwise, point

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&</title>"
LOADING = ("src", "href", "data", "action", "srcset", "poster", "formaction", "background", "xlink:href")


class Tags(HTMLParser):
    """The tags of a page, its texts, and what stands in its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and not self.texts_after:
            self.scripts[-1] += data
        else:
            self.texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self.tags.append(("/script", {}))

    @property
    def texts_after(self) -> bool:
        return self.tags[-1][0] == "/script"


def points() -> list[Point]:
    return [point(name) for name in RECIPES]


def evil() -> Tags:
    """A page in which every text that others gave is a trap."""
    trapped = [
        replace(one, model=EVIL, source=EVIL, classes=tuple((EVIL, e) for _, e in one.classes)) for one in points()
    ]
    steps = Recipe.of([["node_pruning", {"protect": [EVIL]}]])
    trapped[1] = otherwise(replace(trapped[1], recipe=steps), machine=EVIL, device_name=EVIL)
    trapped[2] = replace(trapped[2], content=EVIL)
    reason = {"latency_ms": replace(trapped[3].variant["latency_ms"], value=None, low=None, high=None, reason=EVIL)}
    trapped[3] = otherwise(trapped[3], reason)
    failed = Failed(steps, Message("{why}", {"why": EVIL}))
    return Tags(page(compared(trapped, bounds=[Bound.parse("score>=0.5")]), [failed]))


@pytest.mark.parametrize("trapped", [False, True])
def test_nothing_is_fetched_and_no_script_is_anothers(trapped: bool) -> None:
    found = evil() if trapped else Tags(page(compared(points())))
    names = [name for name, _ in found.tags]
    assert names.count("script") == 3  # the numbers, Plotly, ours
    assert not {"img", "link", "iframe", "object", "embed", "base", "form", "a", "svg"} & set(names)
    for _, attributes in found.tags:
        assert not [name for name in attributes if name in LOADING or name.startswith("on")]
    style = re.search(r"<style>(.*?)</style>", page(compared(points())), re.DOTALL).group(1)
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = [a["content"] for name, a in found.tags if name == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy


def test_what_others_wrote_is_shown_as_text() -> None:
    found = evil()
    assert sum(EVIL in text for text in found.texts) > 6
    pictures = json.loads(found.scripts[0])
    assert "<" not in found.scripts[0]
    assert "<script" not in json.dumps(pictures)  # Plotly reads tags in its texts
    assert "<img" not in json.dumps(pictures)


def test_every_figure_stands_in_the_tables_with_its_interval() -> None:
    found = Tags(page(compared(points())))
    text = "\n".join(found.texts)
    for one in points():
        low, high = (f"{100 * end:.1f}" for end in (one.variant["accuracy"].low, one.variant["accuracy"].high))
        assert f"({low} to {high} %)" in text
        assert f"{one.variant['parameters'].value:,.0f} (exact)" in text
        assert str(one.recipe) in found.texts
    for name, value in points()[0].protocol.items():
        assert name.replace("_", " ") in found.texts
        assert (", ".join(map(str, value)) if isinstance(value, list) else str(value)) in text
    assert "n = 600" in text


def test_a_point_without_most_figures_is_shown_with_what_it_has() -> None:
    some = {name: point("heavy").variant[name] for name in ("accuracy", "nonzero")}
    bare = replace(point("heavy"), variant=some, ratio={})
    found = Tags(page(compared([bare, point("light")])))
    assert len(json.loads(found.scripts[0])) == 4
    assert found.texts.count("a figure is missing") == 1


def test_light_dark_and_print() -> None:
    text = page(compared(points()))
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_a_chart_is_what_plotly_takes_and_what_was_measured() -> None:
    (standing,) = tradeoffs(points(), "parameters")
    picture = chart(points(), standing, "parameters").to_dict()
    plain = json.loads(re.sub(r'"--\w+"', '"#000000"', json.dumps(picture)))
    figure = go.Figure(plain)  # Plotly's own checks
    assert figure.layout.height == 420
    shown = {
        (x, y) for trace in picture["data"] if "hovertext" in trace for x, y in zip(trace["x"], trace["y"], strict=True)
    }
    assert shown == {(p.variant["parameters"].value, p.variant["accuracy"].value) for p in points()}
    by_name = {trace["name"]: trace for trace in picture["data"] if trace.get("showlegend", True)}
    assert by_name["weight pruning"]["marker"]["color"] == method_colour("weight_pruning")
    assert by_name["node pruning"]["marker"]["color"] == method_colour("node_pruning")
    line = by_name["frontier"]
    assert list(zip(line["x"], line["y"], strict=True)) == [
        (points()[i].variant["parameters"].value, points()[i].variant["accuracy"].value) for i in standing.frontier
    ]
    faded = [trace for trace in picture["data"] if trace.get("opacity") == FADED]
    assert sum(len(trace["x"]) for trace in faded) == len(standing.dominated) > 0


def test_points_that_cannot_be_compared_share_no_chart_and_it_is_said() -> None:
    one, two = point("light"), otherwise(point("nodes"), machine="another")
    found = Tags(page(compared([one, two])))
    pictures = json.loads(found.scripts[0])
    titles = [picture["layout"]["xaxis"]["title"]["text"] for picture in pictures]
    assert titles.count("Parameters") == 1
    assert titles.count("Latency in ms, batch of 1") == 2
    assert any("cannot be compared: " in text and "machine" in text for text in found.texts)
    assert found.texts.count("not comparable") > 3


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must be a file that can be written"):
        write_report(tmp_path / "no" / "page.html", compared(points()))
    write_report(tmp_path / "page.html", compared(points()))
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!DOCTYPE html>")
