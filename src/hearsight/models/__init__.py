"""One file per published system, with a docstring that is its card."""
