"""Which weights of a model are its smallest, by whatever counts as their size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor, nn

from engine.edit.ranking import MOST, JointThreshold, Threshold, joint_ranks, ranks
from engine.edit.scores import floors
from engine.method import Context

Stays: TypeAlias = Callable[[str, Tensor], Tensor]  # of a weight: True where a number stays; asked for all in order


@dataclass(frozen=True)
class Smallest:
    """Ranks that are kept for the next point of a sweep; of too many weights thresholds, found anew each time.

    names    of the weights that are looked at, in order
    size     of each number of a weight, from its name and the weight: same shape
    key      what tells these sizes from others of the same weights
    """

    model: nn.Module
    names: tuple[str, ...]
    size: Callable[[str, Tensor], Tensor]
    context: Context
    key: str

    def alone(self, amount: float) -> Stays:
        """round(amount · n) of each weight's n numbers go."""
        few = self._few

        def stays(name: str, weight: Tensor) -> Tensor:
            goes = round(amount * weight.numel())
            if few:
                return self.context.once((self.key, name), lambda: ranks(self.size(name, weight))) >= goes
            sizes = self.size(name, weight)
            return Threshold.at(lambda: [sizes], goes).stays(sizes)

        return stays

    def together(self, amount: float) -> Stays:
        """round(amount · n) of all n numbers go; a hundredth of each weight's stays, as far as so many stay at all."""
        total = sum(self._counts)
        goes = round(amount * total)
        kept = tuple(floors(self._counts, total - goes))
        place = {name: i for i, name in enumerate(self.names)}
        if self._few:
            key = (self.key, self.names, kept)
            found = self.context.once(key, lambda: joint_ranks(list(self._sizes()), kept))
            return lambda name, _: found[place[name]] >= goes
        least = self.context.once(
            (self.key, self.names, kept, "floors"), lambda: JointThreshold.floors_of(self._sizes, kept)
        )
        limit = JointThreshold(goes, least).find(self._sizes)
        return lambda name, weight: limit.stays(place[name], self.size(name, weight))

    @property
    def _counts(self) -> list[int]:
        return [self.model.get_parameter(name).numel() for name in self.names]

    @property
    def _few(self) -> bool:
        return sum(self._counts) <= MOST

    def _sizes(self) -> Iterator[Tensor]:
        return (self.size(name, self.model.get_parameter(name).detach()) for name in self.names)
