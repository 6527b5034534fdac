"""Synthetic mixtures with known parts, to train the default model's sound classifier."""
