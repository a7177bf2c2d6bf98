"""A browser, a served app, and pages that fail their test on any console error or request to the outside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from .chromium import BrowserMissingError, find_chromium

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 120
WAIT_MS = 180_000  # a machine that others share may be slow for a while
expect.set_options(timeout=WAIT_MS)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)
LOCAL = {"localhost", "127.0.0.1", "::1"}

Serve = Callable[..., str]
OpenPage = Callable[..., Page]


def wait_idle(page: Page) -> None:
    """Wait until the script has run to its end."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=WAIT_MS)


class Server:
    """One `streamlit run`, in a process group of its own."""

    def __init__(self, script: Path, env: dict[str, str], log: Path) -> None:
        self.log = log
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            port = probe.getsockname()[1]
        self.url = f"http://localhost:{port}"
        options = {
            "server.port": port,
            "server.address": "localhost",
            "server.headless": "true",
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": "false",
        }
        command = [sys.executable, "-m", "streamlit", "run", str(script)]
        command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ
                | {"PYTHONPATH": str(ROOT), "SECATEUR_BASELINES": "off"}
                | env,  # two cores serve them all
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait for the body of the health page: Streamlit answers 200 under any path."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with opener.open(f"{self.url}/_stcore/health", timeout=2) as answer:
                    if answer.read() == b"ok":
                        return
            except (OSError, urllib.error.URLError):
                pass
            time.sleep(0.1)
        pytest.fail(f"The app did not start. It printed:\n{self.log.read_text(errors='replace')[-4000:]}")

    def stop(self) -> None:
        """End the server and whatever it has started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(10)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; without one they fail, for a skipped test would look like a passed one."""
    try:
        path, missing = find_chromium(), ""
    except BrowserMissingError as error:
        path, missing = "", str(error)
    if missing:  # told outside of the handler, for pytest would print both errors
        pytest.fail(missing, pytrace=False)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serve a script and return its address; the same script and environment share one server."""
    servers: dict[str, Server] = {}

    def start(script: Path | str, env: dict[str, str] | None = None) -> str:
        name = repr((str(script), sorted((env or {}).items())))
        if name not in servers:
            servers[name] = Server(Path(script), env or {}, tmp_path_factory.mktemp("server") / "log.txt")
            servers[name].wait()
        return servers[name].url

    yield start
    for server in servers.values():
        server.stop()


def _watch(page: Page, troubles: list[str]) -> None:
    def check(address: str) -> bool:
        parts = urlsplit(address)
        local = parts.scheme in {"data", "blob", "about"} or parts.hostname in LOCAL
        if not local:
            troubles.append(f"request to the outside: {address}")
        return local

    def route(request: Route) -> None:
        if check(request.request.url):
            request.continue_()
        else:
            request.abort()

    page.context.route("**/*", route)
    page.on("websocket", lambda socket: check(socket.url))
    page.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
    page.on("console", lambda said: troubles.append(f"console: {said.text}") if said.type == "error" else None)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open an address in a fresh context: `open_page(url, scheme="light", width=1280, height=900)`."""
    troubles: list[str] = []
    contexts = []

    def start(url: str, scheme: str = "light", width: int = 1280, height: int = 900) -> Page:
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        _watch(page, troubles)
        page.goto(url)
        if url != "about:blank":
            wait_idle(page)
        return page

    yield start
    for context in contexts:
        context.close()
    if troubles:
        pytest.fail("The page was not clean:\n" + "\n".join(troubles), pytrace=False)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """An empty page, light, 1280 × 900, watched like every other."""
    return open_page("about:blank")


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A store for the pages of this process."""
    return {"SECATEUR_STORE": f"sqlite:///{tmp_path_factory.mktemp('explore') / 'records.sqlite'}"}


@pytest.fixture
def link(serve: Serve, database: dict[str, str]) -> Callable[..., str]:
    """The address of a view: `link([PRUNE], model="digits_mlp", x="nonzero")`; of the page without a recipe."""
    from .pages import APP, link_to

    return link_to(serve(APP, database))
