"""Train the character model, and fit the n-grams that it must beat: some twenty minutes on one core.

python -m sample_models.training.character_lm
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sample_models.character_lm import NOT_COUNTED, signs, splits, start, untrained
from sample_models.django_strings import PADDING
from sample_models.training.fitting import Goal, Lesson, Plan, Split, produce
from sample_models.training.kneser_ney import Gram, KneserNey, events_of

PLAN = Plan(
    epochs=36, batch_size=32, learning_rate=0.003, weight_decay=0.2, optimizer="adamw", averaging=0.99, clipping=1.0
)
ORDER = 5  # of the n-grams
NOISE = 0.05  # of the characters are replaced by any other, as often as it occurs
TAUGHT = 0.4  # of the loss asks for what the n-grams say, which they smooth; the rest for the character that came
ALIKE = 16  # batches whose strings are sorted by length together, for padding costs time


def augment(x: Tensor) -> Tensor:
    """Some characters replaced by others, and no more padding than the longest string needs."""
    x = x[:, : int((x != PADDING).sum(1).max())]
    free = (x != PADDING) & (x != start())
    chosen = (torch.rand(x.shape) < NOISE) & free
    return torch.where(chosen, x[free][torch.randint(int(free.sum()), x.shape)], x)


def histories(split: Split) -> tuple[Tensor, dict[Gram, int]]:
    """For each target the number of the history that stands before it (n, length), and the number of each history."""
    numbers: dict[Gram, int] = {}
    found = torch.zeros_like(split[1])
    for place, grams in enumerate(events_of(split, ORDER)):
        found[place, : len(grams)] = torch.tensor([numbers.setdefault(gram[:-1], len(numbers)) for gram in grams])
    return found, numbers


def told(ngrams: KneserNey, numbers: Iterable[Gram]) -> Tensor:
    """What the n-grams say after each history: (histories, signs)."""
    events = [code for code in range(signs()) if code not in (PADDING, start())]
    rows = [torch.tensor([ngrams.chance((*history, code)) for code in events]) for history in numbers]
    chances = torch.zeros(len(rows), signs())
    chances[:, events] = torch.stack(rows)
    return chances


def of_like_length(targets: Tensor, size: int) -> list[Tensor]:
    """The examples of each batch, drawn anew; strings of about one length together."""
    lengths = (targets[:, 0] != NOT_COUNTED).sum(1)
    batches = [
        batch
        for some in torch.randperm(len(targets)).split(size * ALIKE)
        for batch in some[lengths[some].argsort()].split(size)
    ]
    return [batches[i] for i in torch.randperm(len(batches)).tolist()]


def bits(net: nn.Module, split: Split, batch: int = 200) -> float:
    """Bits per character."""
    net.eval()
    with torch.inference_mode():
        total = sum(
            F.cross_entropy(net(x).flatten(0, 1), y.flatten(), ignore_index=NOT_COUNTED, reduction="sum").item()
            for x, y in zip(split[0].split(batch), split[1].split(batch), strict=True)
        )
    return total / int((split[1] != NOT_COUNTED).sum()) / math.log(2)


class Loss:
    """Cross-entropy with the character that came and with what the n-grams say, over the characters of a batch.

    chances    what they say after each history (histories, signs)
    """

    def __init__(self, chances: Tensor) -> None:
        self.chances = chances

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A scalar; outputs (n, length, signs), targets (n, 2, whole length): characters, numbers of histories."""
        wanted, history = targets[:, :, : outputs.shape[1]].unbind(1)
        counted = wanted != NOT_COUNTED
        shares = outputs[counted].log_softmax(-1)  # characters, signs
        came = F.nll_loss(shares, wanted[counted])
        return (1 - TAUGHT) * came - TAUGHT * (self.chances[history[counted]] * shares).sum(-1).mean()


def main() -> None:
    """Train, choose the epoch on validation, write weights and log."""
    held = splits()
    ngrams = KneserNey(held["train"], events=signs() - 2, order=ORDER)  # all but padding and the start
    known = {"order": ORDER, "validation_bits": ngrams.bits(held["validation"]), "test_bits": ngrams.bits(held["test"])}
    print(f"Kneser-Ney {ORDER}-grams: {known}")
    places, numbers = histories(held["train"])
    train = held["train"][0], torch.stack([held["train"][1], places], dim=1)
    goal = Goal(Loss(told(ngrams, numbers)), bits, "bits_per_character", lower=True, batches=of_like_length)
    data, facts = "Django's translations, 35 languages", {"kneser_ney": known}
    produce(Lesson("character_lm", untrained, (train, held["validation"]), data, facts), PLAN, augment, goal)


if __name__ == "__main__":
    main()
