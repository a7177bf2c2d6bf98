"""Start the dashboard's server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from dashboard.models import SETTINGS
from engine import InvalidInput

LAUNCHER = Path(__file__).with_name("launcher.py")


def serve(port: int, settings: str, as_json: bool = False) -> int:
    """Serve the dashboard on this machine's own address until it is stopped; its exit status.

    settings    what the user told, as text for the server's environment

    Raises InvalidInput where the port is not one.
    """
    if not 1 <= port <= 65535:
        raise InvalidInput("--port must be a whole number from 1 to 65535, got {got}", got=port)
    if as_json:
        print(json.dumps({"url": f"http://localhost:{port}"}), flush=True)  # noqa: T201 - asked for
    command = [sys.executable, "-m", "streamlit", "run", str(LAUNCHER), "--server.port", str(port)]
    before = signal.signal(signal.SIGTERM, _stop)  # what ends this process must not leave the server behind
    try:
        return subprocess.call(command, env={**os.environ, SETTINGS: settings})
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)
