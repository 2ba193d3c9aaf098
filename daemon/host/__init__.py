"""The machine: files, processes, streams and its clock's zone, whatever state they are in."""
