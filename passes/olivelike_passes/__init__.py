"""The built-in passes: a plugin like anyone's, loaded through the same entry point. Importing it imports no pass."""

from __future__ import annotations

from olivelike.contracts.plugin import Plugin

PLUGIN = Plugin(
    passes={
        "activation_statistics": "olivelike_passes.quantization.activation_statistics:ActivationStatistics",
        "add_metadata": "olivelike_passes.graph.add_metadata:AddMetadata",
        "calibrate": "olivelike_passes.quantization.calibrate:Calibrate",
        "change_io_types": "olivelike_passes.graph.change_io_types:ChangeIoTypes",
        "channels_last": "olivelike_passes.graph.channels_last:ChannelsLast",
        "compose": "olivelike_passes.graph.compose:Compose",
        "convert_ir_version": "olivelike_passes.graph.convert_ir_version:ConvertIrVersion",
        "convert_opset": "olivelike_passes.graph.convert_opset:ConvertOpset",
        "deduplicate": "olivelike_passes.graph.deduplicate:Deduplicate",
        "dynamic_quant": "olivelike_passes.quantization.dynamic_quant:DynamicQuant",
        "extract_subgraph": "olivelike_passes.graph.extract_subgraph:ExtractSubgraph",
        "fix_shapes": "olivelike_passes.graph.fix_shapes:FixShapes",
        "float16": "olivelike_passes.precision.float16:Float16",
        "fold_scales": "olivelike_passes.graph.fold_scales:FoldScales",
        "fuse": "olivelike_passes.graph.fuse:Fuse",
        "fuse_transformers": "olivelike_passes.graph.fuse_transformers:FuseTransformers",
        "inline_functions": "olivelike_passes.graph.inline_functions:InlineFunctions",
        "insert_pre_post_processing": "olivelike_passes.graph.insert_pre_post_processing:InsertPrePostProcessing",
        "mixed_precision": "olivelike_passes.quantization.mixed_precision:MixedPrecision",
        "nbits_to_qdq": "olivelike_passes.quantization.nbits_to_qdq:NBitsToQdq",
        "optimize_offline": "olivelike_passes.graph.optimize_offline:OptimizeOffline",
        "rename_io": "olivelike_passes.graph.rename_io:RenameIo",
        "sensitivity": "olivelike_passes.quantization.sensitivity:Sensitivity",
        "simplify": "olivelike_passes.graph.simplify:Simplify",
        "split": "olivelike_passes.graph.split:Split",
        "static_quant": "olivelike_passes.quantization.static_quant:StaticQuant",
        "strip": "olivelike_passes.graph.strip:Strip",
        "surgery": "olivelike_passes.surgery.surgery:Surgery",
        "weight_only": "olivelike_passes.quantization.weight_only:WeightOnly",
    },
)
