"""What the server does before the first visitor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ("altair", "dashboard", "engine", "pandas", "plotly", "pyarrow", "sample_models", "sklearn", "torch")
VISIT = f"""
import asyncio, gc, json, multiprocessing, sys
from streamlit.testing.v1 import AppTest
from dashboard import cache, launcher

async def visit():
    async with launcher.lifespan(None):
        assert gc.get_freeze_count() > 100_000, gc.get_freeze_count()
        assert len(multiprocessing.active_children()) == 1
        before = set(sys.modules)
        page = AppTest.from_file({str(ROOT / "dashboard" / "app.py")!r}, default_timeout=100).run()
        shown = next(c for c in page.get("bidi_component") if c.key == "figures")
        assert len(json.loads(shown.proto.json)["cards"]) == 6
        assert not page.exception
        new = sorted(name for name in set(sys.modules) - before if name.partition(".")[0] in {HEAVY!r})
        assert new == [], new
    assert multiprocessing.active_children() == []

if __name__ == "__main__":
    asyncio.run(visit())
"""


def test_all_that_is_heavy_is_there_before_the_first_visitor(tmp_path: Path) -> None:
    (tmp_path / "visit.py").write_text(VISIT, "utf-8")  # a worker process imports the script again
    done = subprocess.run(
        [sys.executable, str(tmp_path / "visit.py")],
        env={"PYTHONPATH": str(ROOT), "SECATEUR_STORE": "sqlite://", "HOME": str(tmp_path), "PATH": ""},
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
