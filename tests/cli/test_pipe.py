"""Output that somebody stops reading."""

from __future__ import annotations

import subprocess
import sys


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = [sys.executable, "-c", "import secateur; raise SystemExit(secateur.main(['methods', '--json']))"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, said = process.communicate(timeout=150)
    assert said == b""
    assert process.returncode == 0
