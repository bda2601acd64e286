"""The built-in passes: a plugin like anyone's, loaded through the same entry point. Importing it imports no pass."""

from __future__ import annotations

from olivelike.contracts.plugin import Plugin

PLUGIN = Plugin(
    passes={
        "calibrate": "olivelike_passes.quantization.calibrate:Calibrate",
        "convert_ir_version": "olivelike_passes.graph.convert_ir_version:ConvertIrVersion",
        "convert_opset": "olivelike_passes.graph.convert_opset:ConvertOpset",
        "dynamic_quant": "olivelike_passes.quantization.dynamic_quant:DynamicQuant",
        "float16": "olivelike_passes.precision.float16:Float16",
        "fold_scales": "olivelike_passes.graph.fold_scales:FoldScales",
        "fuse": "olivelike_passes.graph.fuse:Fuse",
        "fuse_transformers": "olivelike_passes.graph.fuse_transformers:FuseTransformers",
        "simplify": "olivelike_passes.graph.simplify:Simplify",
        "static_quant": "olivelike_passes.quantization.static_quant:StaticQuant",
    },
)
