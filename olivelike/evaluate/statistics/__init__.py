"""The statistics behind every verdict: intervals, confidence sequences, resampling. Each names its source and its limits."""
