"""Weight pruning: the smallest weights become zero."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from engine.coefficient import Coefficient, count, fraction
from engine.edit.calibration import EXAMPLES, damped, input_moments, map_by_inputs
from engine.edit.gradual import Gradual
from engine.edit.ranking import MOST
from engine.edit.scores import drawn
from engine.edit.smallest import Smallest, Stays
from engine.edit.sparse import adaptive_scores, compensated, inverse_root, places_in_groups, row_mask, row_ranks
from engine.edit.surgery import by_blocks, map_weights, weights
from engine.edit.training import BATCH_SIZE, LEARNING_RATE, STEPS, Schedule, adamw, task_loss, train
from engine.form import Effect, Form
from engine.method import Context, Method

ALPHA = Coefficient("alpha", "fraction", 0.5, "The share of each weight's size that is taken away from the weight.")
AMOUNT = fraction("amount", 0.5, "The share of the weights that become zero.", below=True)
N = Coefficient("n", "count", 2, "How many weights stay of every m.", 1, 64)
M = Coefficient("m", "count", 4, "How many weights, one after another, are chosen from.", 1, 64)
RIDGE = Coefficient(
    "ridge", "real", 0.1, "What is added to what inputs have in common, so that it can be inverted.", 1e-8, 10.0,
    scale="log",
)  # fmt: skip
EVERY = count("every", 10, "After how many steps of the training more weights become zero.", 1, 1000)
ZEROS = Effect(frozenset({"values"}), makes_zeros=True, monotone={"amount": ("nonzero", -1)})


class WeightPruning(Method):
    """Set weights to zero.

    formula             W_new = W − α·|W|: positive weights times (1 − α), negative ones times (1 + α); no zeros
                        for 0 < α < 1, and every positive weight is zero at α = 1
    magnitude_global    the round(amount · n) smallest |w| of all n weights of the model become zero
    magnitude_layer     the same in each layer by itself
    magnitude_adaptive  the same of all n weights by w² / Σ v², the sum over the weights v of the layer with |v| ≥ |w|
    n_of_m              of every m weights of a node that follow one another, the n largest stay
    wanda               of each node, the round(amount · n) weights with the smallest |w|·|x|_2 become zero, x the
                        input that meets the weight, over the examples
    inverse_hessian     round(amount · n) weights of each layer, by w² / [A^(-1)]_jj with A = E[x·x^T] + λ·1 and
                        λ = ridge · mean(diag(A)), become zero; those to their right make up for them
    gradual             the round(amount · n) smallest of all n weights, little by little while the others are trained:
                        after step t those of the share amount · (1 − (1 − t / T)³); the last fifth makes no
                        zeros, and there the learning rate falls
    random              round(amount · n) weights of each layer, drawn by the seed, become zero: the baseline

    alpha           0 to 1
    amount          share of the weights, 0 up to below 1
    n               1 to 64; from m on every weight stays
    m               1 to 64
    examples        training examples, drawn by the seed, 1 to 100,000
    ridge           1e-8 to 10, without a unit
    steps           of AdamW on the task's loss, 0 to 10,000; at 0 or 1 all go at the start
    learning_rate   the largest step of AdamW, 1e-6 to 1
    batch_size      training examples a step, 1 to 65,536
    every           steps after which more weights go, 1 to 1,000

    Acts on each weight tensor of two or more dimensions, of any shape; biases and norms stay. By rank, so the counts
    are exact: among equal sizes the earlier weight goes first. Where all weights are ranked together, a hundredth of
    each layer's stays. What wanda and inverse_hessian do not know the inputs of, such as an embedding, goes by size.
    Any such tensor can be pruned. Raises BrokenVariant where the weights become infinite in training, Cancelled.
    Source: the project's source document, formula 2; magnitude: Han et al., arXiv 1506.02626; adaptive: Lee et al.,
    arXiv 2010.07611; n of m: Mishra et al., arXiv 2104.08378; Wanda: Sun et al., arXiv 2306.11695; inverse Hessian:
    Frantar and Alistarh, SparseGPT, arXiv 2301.00774; gradual: Zhu and Gupta, arXiv 1710.01878.
    """

    name = "weight_pruning"
    title = "Weight pruning"
    family = "compression"
    coefficients = (ALPHA, AMOUNT, N, M, EXAMPLES, RIDGE, STEPS, LEARNING_RATE, BATCH_SIZE, EVERY)
    forms = (
        Form(
            "formula",
            ("alpha",),
            Effect(frozenset({"values"}), makes_zeros=True),
            r"W_{new} = W - \alpha \cdot |W|",
            "Positive weights shrink and negative ones grow. No weight becomes zero below alpha = 1.",
            "Source document, formula 2",
            neutral={"alpha": 0.0},
        ),
        Form(
            "magnitude_global",
            ("amount",),
            ZEROS,
            r"w_{new} = w \cdot [\,|w| > t\,]",
            "The smallest weights of the whole model become zero: t is the size below which the amount lies.",
            "Han et al. 2015, arXiv 1506.02626",
            neutral={"amount": 0.0},
            baseline="random",
        ),
        Form(
            "magnitude_layer",
            ("amount",),
            ZEROS,
            r"w_{new} = w \cdot [\,|w| > t_{layer}\,]",
            "The smallest weights of each layer become zero: t is the size below which the amount of the layer lies.",
            "Han et al. 2015, arXiv 1506.02626",
            neutral={"amount": 0.0},
            baseline="random",
        ),
        Form(
            "magnitude_adaptive",
            ("amount",),
            ZEROS,
            r"s_i = w_i^2 \Big/ \sum_{|w_j| \ge |w_i|} w_j^2",
            "The weights go that are small beside those which would be left of their layer.",
            "Lee et al. 2020, arXiv 2010.07611",
            neutral={"amount": 0.0},
            baseline="random",
        ),
        Form(
            "n_of_m",
            ("n", "m"),
            Effect(frozenset({"values"}), makes_zeros=True, monotone={"n": ("nonzero", 1)}),
            r"\lVert (w_{km+1}, \dots, w_{km+m}) \rVert_0 \le n",
            "Of every m weights in a row the n largest stay: a pattern that some hardware can use.",
            "Mishra et al. 2021, arXiv 2104.08378",
        ),
        Form(
            "wanda",
            ("amount", "examples"),
            ZEROS,
            r"s_{ij} = |w_{ij}| \cdot \lVert x_j \rVert_2",
            "Of each node the weights go that matter least on what the layer is given.",
            "Sun et al. 2023, arXiv 2306.11695",
            neutral={"amount": 0.0},
            needs=frozenset({"data"}),
            baseline="random",
        ),
        Form(
            "inverse_hessian",
            ("amount", "examples", "ridge"),
            ZEROS,
            r"s_{ij} = w_{ij}^2 / [A^{-1}]_{jj},\quad A = \mathbb{E}[x x^{\top}] + \lambda I",
            "The weights go that cost least, and others make up for them.",
            "Frantar and Alistarh 2023, arXiv 2301.00774",
            neutral={"amount": 0.0},
            needs=frozenset({"data"}),
            baseline="random",
        ),
        Form(
            "gradual",
            ("amount", "steps", "learning_rate", "batch_size", "every"),
            ZEROS,
            r"s_t = s \, \big( 1 - (1 - t / T)^3 \big)",
            "The smallest weights of the whole model go little by little, and the others are trained meanwhile.",
            "Zhu and Gupta 2017, arXiv 1710.01878",
            needs=frozenset({"data", "training"}),
        ),
        Form(
            "random",
            ("amount",),
            ZEROS,
            r"w_{new} = w \cdot m,\quad m \sim \{0, 1\}",
            "Weights of each layer become zero by lot: what choosing is worth is the distance from here.",
            "Baseline",
            neutral={"amount": 0.0},
        ),
    )
    default_form = "magnitude_global"

    def edit(self, model: nn.Module, context: Context) -> nn.Module:
        """The model with weights at zero."""
        if self.form == "formula":
            by_formula = partial(prune_by_formula, alpha=self.number("alpha"))
            map_weights(model, lambda _, weight: by_blocks(by_formula, weight))
            return model
        if self.form == "gradual":
            return self._gradually(model, context)
        known = self._by_inputs(model, context) if "examples" in self.values else set()
        names = tuple(name for name, _ in weights(model) if name not in known)
        stays = self._stays(model, names, context)
        # where(), not a product: a weight that is negative stays exactly what it was, and no zero gets a sign
        map_weights(model, lambda name, w: torch.where(stays(name, w), w, torch.zeros((), dtype=w.dtype).to(w)), names)
        return model

    def _gradually(self, model: nn.Module, context: Context) -> nn.Module:
        """The model trained, with ever more of its weights at zero."""
        steps, size, rate = self.whole("steps"), self.whole("batch_size"), self.number("learning_rate")
        masks = Gradual(self.number("amount"), steps, self.whole("every"))
        schedule = Schedule(steps, size, keep_zeros=True, masks=masks)
        return train(
            model, context, task_loss(context), lambda trained: adamw(trained, rate, steps, masks.last), schedule
        )

    def _stays(self, model: nn.Module, names: tuple[str, ...], context: Context) -> Stays:
        """What says of a weight where its numbers stay."""
        if self.form == "n_of_m":
            n, m = self.whole("n"), self.whole("m")
            few = sum(model.get_parameter(name).numel() for name in names) <= MOST
            keep = context.once if few else lambda _, compute: compute()
            return lambda name, w: keep(("n of m", m, name), lambda: places_in_groups(w.abs(), m)) <= n
        places = {name: place for place, name in enumerate(names)}

        def lots(name: str, weight: Tensor) -> Tensor:
            lot = drawn(weight.numel(), context.seed, places[name]).view(weight.shape).to(weight.device)
            return lot.masked_fill_(weight == 0, 0)  # no zero goes twice

        adaptive = self.form == "magnitude_adaptive"
        size = lots if self.form == "random" else lambda _, w: adaptive_scores(w) if adaptive else w.abs()
        key = self.form if adaptive or self.form == "random" else "magnitude"
        smallest = Smallest(model, names, size, context, key)
        together = adaptive or self.form == "magnitude_global"
        return (smallest.together if together else smallest.alone)(self.number("amount"))

    def _by_inputs(self, model: nn.Module, context: Context) -> set[str]:
        """Prune the layers whose inputs are known; the names of their weights."""
        n, amount = self.whole("examples"), self.number("amount")
        moments = context.once(("input_moments", n), lambda: input_moments(model, context, n))

        def wanda(path: str, weight: Tensor, moment: Tensor) -> Tensor:
            size = moment.diagonal(dim1=1, dim2=2).sqrt()[:, None]  # groups, 1, inputs
            found = context.once(
                ("wanda", n, path), lambda: [row_ranks(w.abs() * s) for w, s in zip(weight, size, strict=True)]
            )
            kept = torch.stack([row_mask(one, amount) for one in found])
            return torch.where(kept, weight, torch.zeros((), dtype=weight.dtype, device=weight.device))

        def inverse(path: str, weight: Tensor, moment: Tensor) -> Tensor:
            context.channel.check()
            ridge = self.number("ridge")
            roots = context.once(("roots", n, ridge, path), lambda: [inverse_root(a) for a in damped(moment, ridge)])
            return torch.stack([compensated(w, root, amount) for w, root in zip(weight, roots, strict=True)])

        return map_by_inputs(model, moments, wanda if self.form == "wanda" else inverse)


def prune_by_formula(weight: Tensor, alpha: float) -> Tensor:
    """W − α·|W|, same shape."""
    return weight - alpha * weight.abs()
