"""Start the dashboard's server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from dashboard import models
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
    os.environ[models.SETTINGS] = settings
    models.settings.cache_clear()
    models.brought.cache_clear()
    # In this process, which has already imported what takes longest; Streamlit looks for its settings beside the
    # script that the command line names.
    sys.argv = [str(LAUNCHER)]
    from dashboard.launcher import app

    try:
        app.run(config={"server.port": port})
    except KeyboardInterrupt:
        return 0
    return 0
