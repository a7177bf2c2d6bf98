"""A visitor without a browser: Streamlit's own messages over a websocket."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

PATIENCE_S = 180.0
EARLY = ForwardMsg.FINISHED_EARLY_FOR_RERUN  # another run follows at once
CURVE = "curve"  # the key of the chart's component


class Answer(NamedTuple):
    """What came of one move.

    chart_s     until the message with the chart at the new value, seconds
    end_s       until the run's last message
    sent        bytes of all messages
    messages    how many
    """

    chart_s: float
    end_s: float
    sent: int
    messages: int


class Visitor:
    """One session of the page."""

    def __init__(self, url: str, view: dict[str, Any]) -> None:
        parts = urlsplit(url)
        self.query = f"s={quote(json.dumps(view, separators=(',', ':')))}"
        self.socket: ClientConnection = connect(
            f"ws://{parts.netloc}/_stcore/stream", subprotocols=["streamlit"], max_size=None, compression=None
        )  # type: ignore[arg-type]
        self.sliders: dict[str, str] = {}  # name of the coefficient -> the widget's id
        self.polls: dict[str, tuple[float, float]] = {}  # fragment -> its interval, and when it is due
        self.shown: dict[str, Any] = {}

    def __enter__(self) -> Visitor:
        self.rerun()
        self.finish()
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def rerun(self, **state: Any) -> None:
        """Ask for a run of the script."""
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.fragment_id = state.get("fragment", "")
        message.rerun_script.is_auto_rerun = "fragment" in state
        if "slider" in state:
            widget = message.rerun_script.widget_states.widgets.add()
            widget.id, value = self.sliders[state["slider"]], float(state["value"])
            widget.double_array_value.data.append(value)
        self.socket.send(message.SerializeToString())

    def finish(self) -> list[tuple[float, bytes]]:
        """All messages until the script's end, with the moments at which they came."""
        found: list[tuple[float, bytes]] = []
        while True:
            raw = self.socket.recv(timeout=PATIENCE_S)
            assert isinstance(raw, bytes)
            found.append((time.perf_counter(), raw))
            message = ForwardMsg.FromString(raw)
            self._note(message)
            if message.WhichOneof("type") == "script_finished" and message.script_finished != EARLY:
                return found

    def move(self, slider: str, value: float) -> Answer:
        """Let go of the slider at another value; wait for the chart that has it, and for the end of the run."""
        began = time.perf_counter()
        self.rerun(slider=slider, value=value)
        came = self.finish()
        charted = [at for at, raw in came if marker_of(ForwardMsg.FromString(raw)) == value]
        chart = charted[0] - began if charted else float("nan")
        return Answer(chart, came[-1][0] - began, sum(len(raw) for _, raw in came), len(came))

    def poll(self, until: float) -> bool:
        """Do what the browser does while the queue is at work: run a fragment again when it is due; whether it did."""
        due = sorted((at, name) for name, (_, at) in self.polls.items() if at <= until)
        if not due:
            return False
        at, name = due[0]
        time.sleep(max(0.0, at - time.perf_counter()))
        self.polls[name] = self.polls[name][0], time.perf_counter() + self.polls[name][0]
        self.rerun(fragment=name)
        return True

    def _note(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "auto_rerun":
            every = message.auto_rerun.interval
            self.polls[message.auto_rerun.fragment_id] = every, time.perf_counter() + every
        elif kind == "new_session" and not message.metadata.run.fragment_ids:
            self.polls.clear()
        elif kind == "stop_auto_rerun":
            for name in message.stop_auto_rerun.fragment_ids:
                self.polls.pop(name, None)
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "slider":
            name = message.delta.new_element.slider.id.rpartition("-")[2]
            self.sliders[name] = message.delta.new_element.slider.id


def figure_of(message: ForwardMsg) -> dict[str, Any] | None:
    """The tradeoff chart, where this message holds it."""
    element = message.delta.new_element
    if element.WhichOneof("type") != "bidi_component" or not element.bidi_component.id.endswith(f"-{CURVE}"):
        return None
    found = json.loads(element.bidi_component.json)["figure"]
    return json.loads(found) if isinstance(found, str) else found  # type: ignore[no-any-return]


def marker_of(message: ForwardMsg) -> float | None:
    """Where the current recipe stands on the chart of this message; None where it has none."""
    figure = figure_of(message) or {"data": []}
    places = [trace["x"] for trace in figure["data"] if trace.get("name") == "this recipe"]
    return float(places[0][0]) if places else None
