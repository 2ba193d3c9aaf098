"""Making the loss small: the optimisers over the pixels, and the steps they take."""
