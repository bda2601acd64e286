"""How a model is quantized with scales fixed beforehand, without holding its weights."""
