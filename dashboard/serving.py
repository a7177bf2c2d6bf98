"""Start the dashboard's server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from engine import InvalidInput

LAUNCHER = Path(__file__).with_name("launcher.py")


def serve(port: int, as_json: bool = False) -> int:
    """Serve the dashboard on this machine's own address until it is stopped; its exit status.

    Raises InvalidInput where the port is not one.
    """
    if not 1 <= port <= 65535:
        raise InvalidInput("--port must be a whole number from 1 to 65535, got {got}", got=port)
    if as_json:
        print(json.dumps({"url": f"http://localhost:{port}"}), flush=True)  # noqa: T201 - asked for
    command = [sys.executable, "-m", "streamlit", "run", str(LAUNCHER), "--server.port", str(port)]
    if os.name == "posix":  # the server takes this process's place, so that what ends one ends the other
        sys.stdout.flush()
        os.execv(command[0], command)
    return subprocess.call(command)
