"""Drawing vocabulary and compositions behind the built-in style images."""
