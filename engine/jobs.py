"""One job, one point: the queue, and the warm worker process in which points are measured."""

from __future__ import annotations
