"""What looking into a large model takes: seconds and peak memory of `olivelike inspect`, on a model made for it.

    python benchmarks/look.py [--gigabytes 10] [--layers 100] [--runs 5]

The model is a chain of matrix products whose weights lie in one file of external data. That file is sparse: it has its full
size and takes no room, so that the script needs no disk. Prints the median over fresh processes, start of Python included.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from olivelike.testing.sparse import sparse_model

INSIDE = """
import sys
from olivelike.cli.app import main
sys.argv = ["olivelike", "inspect", sys.argv[1], "--json"]
main()
"""
MEASURED = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run([sys.executable, "-c", sys.argv[1], sys.argv[2]], check=True, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - start
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


def main() -> None:
    """Makes the model, looks into it some times, prints what that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=10.0)
    parser.add_argument("--layers", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    width = math.isqrt(int(options.gigabytes * 1e9 / 4 / options.layers))
    with TemporaryDirectory(prefix="olivelike-") as room:
        model = sparse_model(Path(room), layers=options.layers, width=width)
        size = (model.parent / f"{model.name}.data").stat().st_size
        taken = [_measured(model) for _ in range(options.runs)]
    seconds, kilobytes = (median(values) for values in zip(*taken, strict=True))
    print(f"{size / 1e9:.2f} GB in {options.layers} weights: {seconds:.2f} s, {kilobytes / 1024:.0f} MiB at most")


def _measured(model: Path) -> tuple[float, float]:
    command = [sys.executable, "-c", MEASURED, INSIDE, str(model)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, kilobytes = json.loads(done.stdout)
    return seconds, kilobytes


if __name__ == "__main__":
    main()
