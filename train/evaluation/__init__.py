"""How good a model package is: `rt-pose train evaluate`."""
