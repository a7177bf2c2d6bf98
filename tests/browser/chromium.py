"""Find Chromium for the browser tests; as a command, get it where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
INSTALL_TIMEOUT_S = 600


class BrowserMissingError(RuntimeError):
    """There is no Chromium to run the browser tests with."""


def find_chromium() -> str:
    """Return the path of a Chromium: one on the PATH, else the one that Playwright has downloaded."""
    found = next(filter(None, map(shutil.which, NAMES)), None) or _downloaded()
    if found is None:
        message = (
            f"No Chromium was found (looked for {', '.join(NAMES)} and Playwright's own): "
            "run `python -m tests.browser.chromium`, or install Chromium and put it on the PATH."
        )
        raise BrowserMissingError(message)
    return found


def _downloaded() -> str | None:
    folders = {
        "linux": Path.home() / ".cache" / "ms-playwright",
        "darwin": Path.home() / "Library" / "Caches" / "ms-playwright",
        "win32": Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "ms-playwright",
    }
    chosen = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    folder = Path(chosen) if chosen else folders.get(sys.platform)
    if folder is None:
        return None
    # The inner folders are named after the platform, and their names change between Playwright's versions.
    for pattern in ("chrome", "chrome.exe", "Chromium", "Google Chrome for Testing", "chrome-headless-shell*"):
        for path in sorted(folder.glob(f"chromium*/**/{pattern}"), reverse=True):
            if path.is_file() and os.access(path, os.X_OK):
                return str(path)
    return None


def _run(*command: str) -> bool:
    """Run a command to its end, showing what it prints; say whether it succeeded."""
    sys.stdout.write(f"$ {' '.join(command)}\n")
    sys.stdout.flush()
    try:
        return subprocess.run(command, timeout=INSTALL_TIMEOUT_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.stdout.write(f"{error}\n")
        return False


def _by_package_manager() -> bool:
    if shutil.which("apt-get") is None:
        return False
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if not root and (shutil.which("sudo") is None or not _run("sudo", "-n", "true")):
        return False
    prefix = () if root else ("sudo", "-n")
    return _run(*prefix, "apt-get", "update") and _run(*prefix, "apt-get", "install", "-y", "chromium")


def main() -> int:
    """Make sure that there is a Chromium and print which; 1 where none could be had."""
    # Playwright's own may lack libraries of the system that the distribution's package brings along.
    ways = (lambda: True, lambda: _run(sys.executable, "-m", "playwright", "install", "chromium"), _by_package_manager)
    for way in ways:
        if not way():
            continue
        try:
            path = find_chromium()
        except BrowserMissingError:
            continue
        sys.stdout.write(f"Chromium for the browser tests: {path}\n")
        return 0
    sys.stderr.write("No Chromium could be found or installed: install Chromium by hand and put it on the PATH.\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
