"""Makes atelierd a service of systemd: units with the right paths, its user, its folders."""
