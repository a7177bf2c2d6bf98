"""Where each layer of a model is cut in two: its directions, and how many of them stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod

from torch import Tensor, nn

from engine.edit.calibration import Given, what_is_given
from engine.edit.factors import as_matrix, factored
from engine.edit.ranks import energy_rank, rank_of
from engine.edit.rows import PLAIN
from engine.edit.scores import drawn
from engine.edit.slopes import output_slopes
from engine.edit.spectra import EVENLY, Spectrum, about_mean, falling, moved_bias, principal, singular, spectrum_of
from engine.method import Context


@dataclass(frozen=True)
class Cut:
    """A layer's directions of which the first `rank` stay.

    scheme    how its matrix is made, see `as_matrix`
    given     what it is given, where the mean of the outputs is to stay
    held      whether the directions were chosen for the outputs and a repair is to keep them
    """

    spectrum: Spectrum
    rank: int
    scheme: str = "kernel"
    given: Given | None = None
    held: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix, m × n."""
        return len(self.spectrum.outer), self.spectrum.inner.shape[1]

    @property
    def parameters(self) -> int:
        """Of both factors."""
        return self.rank * sum(self.shape)

    @property
    def pays(self) -> bool:
        """Whether both factors are smaller than the matrix."""
        return self.parameters < prod(self.shape)

    def to_share(self, share: float) -> Cut:
        """With max(1, round(share · min(m, n))) of the directions."""
        return replace(self, rank=rank_of(share, self.shape))

    def to_energy(self, share: float) -> Cut:
        """With as many of the directions as keep that share of the energy."""
        return replace(self, rank=energy_rank(self.spectrum.energy, share))

    def of(self, layer: nn.Module) -> nn.Module:
        """The layer in two factors."""
        inner, outer = self.spectrum.inner[: self.rank], self.spectrum.outer[:, : self.rank]
        bias = None if self.given is None else moved_bias(layer, inner, outer, self.given)
        made = factored(layer, inner, outer, self.scheme, bias)
        made.held = self.held
        return made


class Cuts:
    """What is known of a model's layers, each thing computed once; the model must stay as it is until all is asked.

    examples    training examples, drawn by the seed; 0 where only weights are looked at
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, nn.Module], context: Context, examples: int = 0) -> None:
        self.model, self.layers, self.context, self.examples = model, layers, context, examples

    @property
    def given(self) -> dict[str, Given]:
        """What each layer is given, by path."""
        key = ("what is given", self.examples)
        return self.context.once(key, partial(what_is_given, self.model, self.context, self.examples))

    @property
    def slopes(self) -> dict[str, Tensor]:
        """How the model's outputs hang on each layer's, by path."""
        key, paths = ("output slopes", self.examples), tuple(self.layers)
        return self.context.once(key, partial(output_slopes, self.model, self.context, self.examples, paths))

    def plain(self, path: str, scheme: str = "kernel") -> Spectrum:
        """By the weight's own singular values."""
        return self.context.once(("singular", path, scheme), partial(self._plain, path, scheme))

    def all_directions(self, path: str, metric: str, ridge: float = EVENLY) -> Cut | None:
        """All directions of a layer by what is lost without each of them: of its "weights", of what the "layer" gives,
        or of what the "model" gives. None where that is not known.
        """
        if metric == "weights":
            spectrum = self.plain(path)
            return Cut(spectrum, len(spectrum.energy))
        if path not in self.given or (metric == "model" and path not in self.slopes):
            return None
        slopes = self.slopes[path] if metric == "model" else None
        key = ("by outputs", path, self.examples, ridge, metric)
        given = self.given[path]
        spectrum = self.context.once(key, partial(spectrum_of, self.layers[path], given, ridge, slopes))
        return Cut(spectrum, len(spectrum.energy), given=given)

    def for_outputs(self, path: str, metric: str) -> Cut | None:
        """The same, to be held where it was chosen for outputs."""
        cut = self.all_directions(path, metric)
        return cut and replace(cut, held=cut.given is not None)

    def all_axes(self, path: str) -> Cut | None:
        """A layer along the principal axes of what it is given; None where that is not known."""
        if path not in self.given:
            return None
        given, weight = self.given[path], as_matrix(self.layers[path])
        moment = partial(about_mean, self.layers[path], given)
        values, axes = self.context.once(("axes", path, self.examples), lambda: falling(moment()))
        return Cut(principal(weight, values, axes).to(weight.dtype), len(values), given=given)

    def by_share(self, path: str, scheme: str, share: float) -> Cut:
        """At this share of the full rank; "best" is the scheme that needs fewer parameters for as much energy as
        "kernel" keeps at that rank.
        """
        one = "kernel" if scheme == "best" else scheme
        spectrum = self.plain(path, one)
        cut = Cut(spectrum, len(spectrum.energy), one).to_share(share)
        if scheme != "best" or share == 1 or not isinstance(self.layers[path], PLAIN):
            return cut
        kept = float(spectrum.energy[: cut.rank].sum() / spectrum.energy.sum().clamp_min(1e-300))
        other = self.plain(path, "separable")
        second = Cut(other, len(other.energy), "separable").to_energy(kept)
        return second if second.parameters < cut.parameters else cut

    def by_lot(self, cut: Cut, place: int) -> Cut:
        """The same with as many directions drawn by the seed."""
        spectrum = cut.spectrum
        order = drawn(len(spectrum.energy), self.context.seed, place).argsort().to(spectrum.outer.device)
        mixed = Spectrum(spectrum.outer[:, order], spectrum.inner[order], spectrum.energy[order])
        return replace(cut, spectrum=mixed)

    def _plain(self, path: str, scheme: str) -> Spectrum:
        weight = as_matrix(self.layers[path], scheme)
        return singular(weight).to(weight.dtype)
