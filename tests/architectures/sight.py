"""Models of transformers for pictures, from configurations, their weights drawn at random."""

from __future__ import annotations

from tests.architectures.data import CLASSES
from tests.architectures.language import HEADS, INNER, LAYERS, W, of

ENDING = "ForImageClassification"
SEES = {
    "hidden_size": W, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER,
    "image_size": 12, "patch_size": 4, "num_labels": CLASSES,
}  # fmt: skip

VIEWERS = {
    "vit": of(f"ViT{ENDING}", "ViTConfig", **SEES),
    "deit": of(f"DeiT{ENDING}", "DeiTConfig", **SEES),
    "beit": of(f"Beit{ENDING}", "BeitConfig", **SEES, drop_path_rate=0.0),
    "swin": of(
        f"Swin{ENDING}", "SwinConfig", image_size=16, patch_size=2, embed_dim=16, depths=[2, 2], num_heads=[2, 4],
        window_size=4, num_labels=CLASSES, drop_path_rate=0.0,
    ),
    "convnext": of(
        f"ConvNext{ENDING}", "ConvNextConfig", patch_size=2, num_stages=2, hidden_sizes=[16, 32], depths=[2, 2],
        num_labels=CLASSES, image_size=16,
    ),
    "hub_resnet": of(
        f"ResNet{ENDING}", "ResNetConfig", embedding_size=16, hidden_sizes=[16, 32], depths=[2, 2],
        layer_type="basic", num_labels=CLASSES,
    ),
    "regnet": of(
        f"RegNet{ENDING}", "RegNetConfig", embedding_size=16, hidden_sizes=[16, 32], depths=[2, 2], groups_width=8,
        layer_type="y", num_labels=CLASSES,
    ),
    "mobilenet_v1": of(
        f"MobileNetV1{ENDING}", "MobileNetV1Config", image_size=16, depth_multiplier=0.1, min_depth=16,
        num_labels=CLASSES,
    ),
    "mobilenet_v2": of(
        f"MobileNetV2{ENDING}", "MobileNetV2Config", image_size=16, depth_multiplier=0.1, min_depth=16,
        depth_divisible_by=8, expand_ratio=3, num_labels=CLASSES,
    ),
    "segformer": of(
        f"Segformer{ENDING}", "SegformerConfig", num_encoder_blocks=2, depths=[2, 2], sr_ratios=[2, 1],
        hidden_sizes=[16, 32], num_attention_heads=[2, 4], mlp_ratios=[4, 4], patch_sizes=[3, 3], strides=[2, 2],
        num_labels=CLASSES, drop_path_rate=0.0,
    ),
    "poolformer": of(
        f"PoolFormer{ENDING}", "PoolFormerConfig", num_encoder_blocks=2, depths=[2, 2], hidden_sizes=[16, 32],
        patch_sizes=[3, 3], strides=[2, 2], padding=[1, 1], num_labels=CLASSES, drop_path_rate=0.0,
    ),
}  # fmt: skip
SIDES = {"swin": 16, "convnext": 16, "hub_resnet": 16, "regnet": 16, "mobilenet_v1": 16, "mobilenet_v2": 16}
