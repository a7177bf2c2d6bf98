"""Scripts compressed once, and only where the browser takes them so."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import pytest

from dashboard import compressing
from dashboard.compressing import Compressing
from tests.apart import run_apart

SCRIPT = "let nothing = 0;\n" * 100
IMMUTABLE = "public, immutable, max-age=31536000"


class Answer(NamedTuple):
    """What came back; by "app" where Streamlit was asked."""

    headers: dict[str, str]
    body: bytes


async def behind(scope: dict[str, object], receive: object, send: compressing.Send) -> None:
    """Stands in for Streamlit."""
    kind = b"text/html; charset=utf-8" if scope["path"] == "/" else b"text/plain"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind), (b"x-by", b"app")]})
    await send({"type": "http.response.body", "body": b"streamlit"})


@pytest.fixture
def served(tmp_path: Path) -> Compressing:
    (tmp_path / "static" / "js").mkdir(parents=True)
    (tmp_path / "static" / "js" / "index.a1b2.js").write_text(SCRIPT, "utf-8")
    (tmp_path / "static" / "style.css").write_text("a {}", "utf-8")
    (tmp_path / "static" / "page.html").write_text("<p>", "utf-8")
    (tmp_path / "secret.js").write_text("secret", "utf-8")
    (tmp_path / "plotly.min.js").write_text(SCRIPT, "utf-8")
    places = {"/static/": tmp_path / "static", "/part/plotly.min.js": tmp_path / "plotly.min.js"}
    return Compressing(behind, places, "/part/plotly.min.js")


def ask(app: Compressing, path: str, method: str = "GET", **headers: str) -> Answer:
    told = {"accept-encoding": "gzip, br", **headers}
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in told.items()]
    run_apart(lambda: app({"type": "http", "method": method, "path": path, "headers": raw}, None, send))
    return Answer({n.decode(): v.decode() for n, v in sent[0]["headers"]}, b"".join(m["body"] for m in sent[1:]))


@pytest.mark.parametrize("path", ["/static/js/index.a1b2.js", "/part/plotly.min.js"])
def test_a_script_comes_compressed_and_is_compressed_once(
    served: Compressing, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(served, path)
    assert gzip.decompress(first.body).decode() == SCRIPT
    assert first.headers["content-encoding"] == "gzip"
    assert first.headers["cache-control"] == IMMUTABLE
    assert int(first.headers["content-length"]) == len(first.body) < len(SCRIPT)
    monkeypatch.setattr(gzip, "compress", None)
    assert ask(served, path) == first


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/static/js/index.a1b2.js", {"accept-encoding": "identity"}),
        ("/static/js/index.a1b2.js", {"range": "bytes=0-5"}),
        ("/static/js/index.a1b2.js", {"if-none-match": '"x"'}),
        ("/static/js/missing.js", {}),
        ("/static/page.html", {}),
        ("/static/../secret.js", {}),
        ("/static/js/../../secret.js", {}),
        ("/part/other.js", {}),
        ("/part/plotly.min.js/more.js", {}),
        ("/_stcore/health", {}),
    ],
)
def test_all_else_is_streamlits(served: Compressing, path: str, headers: dict[str, str]) -> None:
    answer = ask(served, path, **headers)
    assert answer.body == b"streamlit"
    assert "link" not in answer.headers


def test_only_what_is_fetched_is_answered(served: Compressing) -> None:
    assert ask(served, "/static/js/index.a1b2.js", method="HEAD").headers["x-by"] == "app"


def test_the_page_names_the_script_that_is_needed_early(served: Compressing) -> None:
    assert ask(served, "/").headers["link"] == "</part/plotly.min.js>; rel=modulepreload"


def test_a_websocket_is_left_alone() -> None:
    seen: list[object] = []

    async def app(*given: object) -> None:
        seen.extend(given)

    scope, receive, send = {"type": "websocket", "path": "/static/js/index.a1b2.js"}, object(), object()
    run_apart(lambda: Compressing(app, {}, "")(scope, receive, send))
    assert all(a is b for a, b in zip(seen, (scope, receive, send), strict=True))
