"""What `bench/gpu.py` is made of: its parts, how they are run, and what is written of them.

`runner` and `report` import nothing but the standard library, so that tests can have them without
a GPU, as `bench.card`.
"""
