"""Published systems, one file each; the docstring of the file describes the system."""
