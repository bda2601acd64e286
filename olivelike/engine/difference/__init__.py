"""What differs between two models: structure, weights, and what they compute, output by output and layer by layer."""
