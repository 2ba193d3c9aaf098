"""The losses, each one small module: what it looks at, its value, and the gradient it adds.

`terms.py` is the one table from a recipe to the terms of its total loss; `objective.py` adds them
up. Everything is computed in float32 (or float64 where the features are), whatever the dtype of
the features: Gram matrices overflow float16, and L-BFGS needs exact differences.
"""
