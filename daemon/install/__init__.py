"""Makes atelierd a service of systemd: units with the right paths, its user, its folders. Units are
text made from templates, to be looked at first; only writing them needs root.
"""
