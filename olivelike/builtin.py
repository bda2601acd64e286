"""What comes with olivelike itself: metrics, sources, data readers, strategies and executors, as one plugin."""

from __future__ import annotations

from olivelike.contracts.plugin import Plugin

PLUGIN = Plugin(
    metrics={
        "accuracy": "olivelike.evaluate.quality.accuracy:Accuracy",
        "arithmetic": "olivelike.evaluate.resources.arithmetic:Arithmetic",
        "classification": "olivelike.evaluate.quality.classification:Classification",
        "cold_start": "olivelike.evaluate.resources.cold_start:ColdStart",
        "detection": "olivelike.evaluate.quality.detection:Detection",
        "energy": "olivelike.evaluate.resources.energy:Energy",
        "generation": "olivelike.evaluate.timing.generation:Generation",
        "image_quality": "olivelike.evaluate.quality.image_quality:ImageQuality",
        "latency": "olivelike.evaluate.timing.latency:Latency",
        "load_time": "olivelike.evaluate.resources.load_time:LoadTime",
        "memory": "olivelike.evaluate.resources.memory:Memory",
        "parity": "olivelike.evaluate.quality.parity:Parity",
        "perplexity": "olivelike.evaluate.quality.perplexity:Perplexity",
        "placement": "olivelike.evaluate.resources.placement:Placement",
        "profile": "olivelike.evaluate.timing.profile:Profile",
        "regression": "olivelike.evaluate.quality.regression:Regression",
        "script": "olivelike.evaluate.quality.script:ScriptMetric",
        "server": "olivelike.evaluate.timing.server:Server",
        "similarity": "olivelike.evaluate.quality.similarity:Similarity",
        "size": "olivelike.evaluate.resources.size:Size",
        "text": "olivelike.evaluate.quality.text:TextMetric",
        "throughput": "olivelike.evaluate.timing.throughput:Throughput",
    },
    sources={
        "hub": "olivelike.sources.hub:Hub",
        "package": "olivelike.sources.package:Package",
        "path": "olivelike.sources.local:Local",
    },
    readers={
        "audio": "olivelike.sources.audio:Audio",
        "csv": "olivelike.sources.csv:Csv",
        "hf": "olivelike.sources.hf:Hf",
        "images": "olivelike.sources.images:Images",
        "jsonl": "olivelike.sources.jsonl:Jsonl",
        "npy": "olivelike.sources.npy:Npy",
        "npz": "olivelike.sources.npz:Npz",
        "parquet": "olivelike.sources.parquet:Parquet",
        "random": "olivelike.sources.random:Random",
        "script": "olivelike.sources.script:Script",
    },
    transforms={
        "causal_lm": "olivelike.sources.transforms.causal_lm:CausalLm",
        "picture": "olivelike.sources.transforms.picture:Picture",
        "tokenize": "olivelike.sources.transforms.tokenize:Tokenize",
        "waveform": "olivelike.sources.transforms.waveform:Waveform",
    },
    strategies={
        "auto": "olivelike.search.auto:Auto",
        "grid": "olivelike.search.grid:Grid",
        "random": "olivelike.search.random:Random",
        "single": "olivelike.search.single:Single",
        "tpe": "olivelike.search.tpe:Tpe",
    },
    executors={
        "inline": "olivelike.executors.inline:Inline",
        "process": "olivelike.executors.process:Process",
    },
)
