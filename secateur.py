"""Secateur: the version, and where the command starts.

This module must exist: in an editable install Streamlit finds a component only where an import
package is named like the distribution.
"""

from __future__ import annotations

__version__ = "0.1.0"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the heavy imports wait until here."""
    from dashboard.cli import run

    return run(arguments)
