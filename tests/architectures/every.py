"""Every architecture by name: a function without arguments gives its workload."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from engine import Workload
from tests.architectures import language, pictures, sequences, shapes, sight
from tests.architectures.data import LENGTH, Make, pairs, same, speech, text, translation, words, workload
from tests.architectures.data import pictures as numbers

LANGUAGE = "language_modelling"
Build = Callable[[], object]


def _all() -> dict[str, tuple[Build, Make, str]]:
    plain = "classification"
    p, s, q = pictures, shapes, sequences
    seen: dict[str, Build] = {
        "resnet_basic": p.BasicResNet, "resnet_bottleneck": p.BottleneckResNet, "resnext": p.ResNeXt,
        "resnet_preactivation": p.PreActivationResNet, "densenet": p.DenseNet, "mobilenet": p.MobileNet,
        "inverted_residual": p.InvertedResidualNet, "shufflenet": p.ShuffleNet, "vgg": p.VGG, "alexnet": p.AlexNet,
        "mlp_mixer": s.MLPMixer, "conv_mixer": s.ConvMixer, "squeezenet": s.SqueezeNet,
    }  # fmt: skip
    rows: dict[str, Build] = {"highway": q.HighwayNet, "experts": q.ExpertsNet, "used_twice": q.TwiceNet}
    return {
        **{name: (build, numbers(3, 12, 12), plain) for name, build in seen.items()},
        **{name: (build, numbers(12), plain) for name, build in rows.items()},
        "unet": (s.UNet, same(1, 16, 16), "regression"),
        "autoencoder": (s.Autoencoder, same(1, 16, 16), "regression"),
        "temporal": (s.TemporalNet, numbers(2, 24), plain),
        "wave_1d": (s.WaveNet1d, numbers(1, 64), plain),
        "conv_3d": (s.Conv3dNet, numbers(1, 6, 8, 8), plain),
        "siamese": (s.Siamese, pairs(1, 8, 8), "regression"),
        "lstm": (q.LSTMNet, words(), plain),
        "gru": (q.GRUNet, numbers(2, LENGTH), plain),
        "torch_encoder": (q.EncoderNet, words(), plain),
        "torch_transformer": (q.TranslationNet, translation(), LANGUAGE),
        "tied_lm": (q.TiedLanguageModel, text(), LANGUAGE),
        "gated_mlp": (q.GatedMLP, _rows, "regression"),
        **{name: (build, words("input_ids"), plain) for name, build in language.READERS.items()},
        **{name: (build, text("input_ids"), LANGUAGE) for name, build in language.WRITERS.items()},
        **{
            name: (build, translation("input_ids", "decoder_input_ids"), LANGUAGE)
            for name, build in language.TRANSLATORS.items()
        },
        "whisper": (language.LISTENERS["whisper"], speech(16, 24), LANGUAGE),
        "wav2vec2": (language.LISTENERS["wav2vec2"], numbers(256, name="input_values"), plain),
        **{
            name: (build, numbers(3, *[sight.SIDES.get(name, 12)] * 2, name="pixel_values"), plain)
            for name, build in sight.VIEWERS.items()
        },
    }


def _rows(n: int, g: object) -> object:
    x, _ = numbers(12)(n, g)  # type: ignore[arg-type]
    return x, x[:, :2].sum(1, keepdim=True)  # type: ignore[index]


ARCHITECTURES: dict[str, Callable[[], Workload]] = {
    name: partial(workload, name, *made)  # type: ignore[arg-type]
    for name, made in sorted(_all().items())
}


@cache
def architecture(name: str) -> Workload:
    """The workload of that architecture, built once; nobody may change it."""
    return ARCHITECTURES[name]()
