"""Code that sees every operator as it runs."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class Watching(TorchDispatchMode):
    """A mode for models that nobody compiles: torch wraps every other one, so that its compiler leaves it alone."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
