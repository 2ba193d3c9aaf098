"""The machine: files, processes, streams and its clock's zone, whatever state they are in. Nothing
here knows of pictures or jobs.
"""
