"""A session without a browser, and the page under AppTest with a store and a worker of its own."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import cache, measuring, state
from dashboard.view import VERSION, View

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
WAIT_S = 150.0  # a machine that others share may be slow for a while
PRUNE = ["weight_pruning", {"form": "magnitude_global", "amount": 0.5}]


class Session(dict):
    """Streamlit's session state: items are attributes, too."""

    def __getattr__(self, name: str) -> object:
        return self[name]

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value


class Visit:
    """A browser tab: an address, and what the server remembers of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, address: str | None = None) -> None:
        self.page = SimpleNamespace(session_state=Session(), query_params={})
        monkeypatch.setattr(state, "st", self.page)
        if address is not None:
            self.address = address

    @property
    def address(self) -> str:
        return self.page.query_params[state.PARAMETER]

    @address.setter
    def address(self, text: str) -> None:
        self.page.query_params[state.PARAMETER] = text

    def at(self, view: View) -> View:
        """Show a view and run the script once more."""
        state.show(view)
        return state.begin()


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Visit:
    """A tab that was just opened without a link."""
    made = Visit(monkeypatch)
    state.begin()
    return made


class Page:
    """The whole page under AppTest."""

    def __init__(self, address: str) -> None:
        self.at = AppTest.from_file(str(APP), default_timeout=WAIT_S)
        self.at.query_params[state.PARAMETER] = address
        self.run()

    def run(self) -> None:
        """Run the script once more; no run may end with an exception."""
        self.at.run()
        assert [str(e.value) for e in self.at.exception] == []

    def until(self, condition: Callable[[], bool]) -> None:
        """Run the script again and again until it holds."""
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.05)
            self.run()

    def wait(self) -> None:
        """Until all is measured that is not asked first."""
        self.until(lambda: "…" not in self.texts("figure", "caption") and not self.at.get("progress"))

    def move(self, kind: str, key: str, value: object = None) -> None:
        """Move the widget of that key; without a value it is clicked."""
        widget = next(w for w in self.at.get(kind) if w.key == key)
        widget.click() if kind == "button" else widget.set_value(value)
        self.run()
        self.run()  # after a move inside the fragment the page shows that part alone

    def texts(self, *kinds: str) -> str:
        """What the elements of these kinds say; the six figures are of the kind "figure"."""
        said = [str(element.value) for kind in kinds for element in self.at.get(kind) if kind != "figure"]
        return "\n".join([*said, *(f"{card.value}\n{card.note}" for card in self.cards if "figure" in kinds)])

    def keys(self, kind: str) -> set[str]:
        return {element.key for element in self.at.get(kind)}

    def figure(self, label: str) -> str:
        """The value of one of the six figures."""
        return next(card.value for card in self.cards if card.label == label)

    def component(self, key: str) -> dict[str, object]:
        """What a component is given in the browser."""
        found = next(c for c in self.at.get("bidi_component") if c.key == key)
        return json.loads(found.proto.json)

    @property
    def cards(self) -> list[SimpleNamespace]:
        """The six figures as they go to the browser."""
        return [SimpleNamespace(**card) for card in self.component("figures")["cards"]]

    def chart(self) -> dict[str, object]:
        """The tradeoff chart as it goes to the browser."""
        return json.loads(self.component("curve")["figure"])

    @property
    def address(self) -> dict[str, object]:
        return json.loads(self.at.query_params[state.PARAMETER])

    @property
    def steps(self) -> list[str]:
        """The names of the recipe's steps."""
        return [name for name, _ in self.address["recipe"]]


OpenPage = Callable[..., Page]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The queue with a store of its own; nothing of it is left behind."""
    before = set(threading.enumerate()), set(multiprocessing.active_children())
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("store")
        patch.setenv(measuring.BESIDE, "off")  # a page is done with its curve; one test switches them on
        patch.setenv(cache.STORE, f"sqlite:///{folder / 'records.sqlite'}")
        yield
        cache.stop()
    assert {t for t in threading.enumerate() if t.name.startswith("secateur")} <= before[0]
    assert set(multiprocessing.active_children()) <= before[1]


@pytest.fixture
def open_page(server: None) -> Iterator[OpenPage]:
    """Open the page at a recipe of the digits: `open_page([PRUNE], x="parameters")`, or at any address."""
    pages: list[Page] = []

    def start(recipe: list[object] | None = None, *, address: str | None = None, **parts: object) -> Page:
        plain = {"v": VERSION, "model": "digits_mlp", "recipe": [PRUNE] if recipe is None else recipe, **parts}
        pages.append(Page(json.dumps(plain) if address is None else address))
        return pages[-1]

    yield start
    for page in pages:
        cache.runner().want(page.at.session_state["owner"], [])
    end = time.monotonic() + WAIT_S
    while cache.runner()._running is not None:  # what was asked to stop is not the next test's
        assert time.monotonic() < end, "the worker did not stop"
        time.sleep(0.02)
