"""What is in a model, found without loading its weights: operators, weights, quantization, what can be done with it."""
