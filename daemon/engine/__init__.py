"""Neural style transfer by optimisation, as a library: pictures in, pictures out.

Knows nothing of folders, queues or services. Importing the package or its torch-free
modules (`recipe`, `picture`, `errors`) never loads torch; `stylize` does.
"""
