"""Making the loss small: the optimisers over the pixels, and the steps they take. An optimiser
changes the picture in place, one gradient at a time, and knows nothing of what it minimises; all
that the next step depends on can be kept.
"""
