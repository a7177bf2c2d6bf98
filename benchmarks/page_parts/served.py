"""A server in a process of its own, and a store that holds all that is moved to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dashboard import cache, measuring
from dashboard.view import View
from engine import Job, Recipe, Runner, open_store

ROOT = Path(__file__).parents[2]
LAUNCHER = ROOT / "dashboard" / "launcher.py"
MODEL = "digits_mlp"
STEP = ["weight_pruning", {"form": "magnitude_global", "amount": 0.5}]
SLIDER = "amount"
VIEW: dict[str, Any] = {"v": 1, "model": MODEL, "recipe": [STEP], "vary": [0, SLIDER]}
AMOUNTS = [round(0.30 + 0.01 * i, 2) for i in range(41)]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def up(url: str, body: bytes | None = None, seconds: float = 120.0) -> float:
    """Wait until the address answers (with that body); how long it took."""
    began = time.perf_counter()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.perf_counter() - began < seconds:
        try:
            with opener.open(url, timeout=5) as answer:
                if body is None or answer.read() == body:
                    return time.perf_counter() - began
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"{url} must answer, got nothing for {seconds:g} s")


@contextmanager
def process(command: Sequence[str], **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a process group of its own, ended with all that it started."""
    log = tempfile.TemporaryFile()  # noqa: SIM115 - the process outlives a with
    told = os.environ | {"PYTHONPATH": str(ROOT)} | env
    started = subprocess.Popen(
        command, cwd=ROOT, env=told, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield started
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(started.pid, number)
                started.wait(10)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue


@contextmanager
def page(store: str, script: Path = LAUNCHER, **env: str) -> Iterator[str]:
    """The address of our page."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    with process([*command, "--server.headless", "true"], SECATEUR_STORE=store, **env):
        up(f"http://localhost:{port}/_stcore/health", b"ok")
        yield f"http://localhost:{port}"


def jobs(amounts: Sequence[float] = tuple(AMOUNTS)) -> list[Job]:
    """All points that the moves of the slider show."""
    found: dict[str, Job] = {}
    for amount in amounts:
        view = View(MODEL, Recipe.of([[STEP[0], {**STEP[1], SLIDER: amount}]]), vary=(0, SLIDER))
        wishes = measuring.wishes_of(view)
        for job in (wishes.original, wishes.here, *wishes.points, *wishes.random, *wishes.baselines):
            found[job.key] = job
    return list(found.values())


def fill(url: str) -> None:
    """Measure all points into a store."""
    runner, wanted = Runner(open_store(url)), jobs()
    try:
        while any(runner.outcome(job).status in ("waiting", "running") for job in wanted):
            runner.want("benchmark", wanted)
            time.sleep(0.2)
    finally:
        runner.close()
        cache.stop()
