"""Picture files in and out: formats, names, reading and writing. Loads no torch."""
