"""What comes with olivelike itself: metrics, sources, data readers, strategies and executors, as one plugin."""

from __future__ import annotations

from olivelike.contracts.plugin import Plugin

PLUGIN = Plugin(
    metrics={
        "accuracy": "olivelike.evaluate.quality.accuracy:Accuracy",
        "generation": "olivelike.evaluate.timing.generation:Generation",
        "latency": "olivelike.evaluate.timing.latency:Latency",
        "parity": "olivelike.evaluate.quality.parity:Parity",
        "server": "olivelike.evaluate.timing.server:Server",
        "size": "olivelike.evaluate.resources.size:Size",
        "throughput": "olivelike.evaluate.timing.throughput:Throughput",
    },
    sources={
        "hub": "olivelike.sources.hub:Hub",
        "package": "olivelike.sources.package:Package",
        "path": "olivelike.sources.local:Local",
    },
    readers={
        "csv": "olivelike.sources.csv:Csv",
        "images": "olivelike.sources.images:Images",
        "npy": "olivelike.sources.npy:Npy",
        "npz": "olivelike.sources.npz:Npz",
        "random": "olivelike.sources.random:Random",
        "script": "olivelike.sources.script:Script",
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
