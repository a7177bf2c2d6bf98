"""The dashboard, but it asks before anything that takes longer than the blink of an eye."""

from __future__ import annotations

import runpy
from pathlib import Path

APP = Path(__file__).parents[3] / "dashboard" / "app.py"

if __name__ == "__main__":
    from dashboard import measuring

    measuring.FEW_SECONDS = 0.05
    runpy.run_path(str(APP), run_name="__main__")
