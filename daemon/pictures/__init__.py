"""Picture files in and out: formats, names, reading and writing. Loads no torch. What was read is
an array of upright sRGB pixels, whatever came in.
"""
