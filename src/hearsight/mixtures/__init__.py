"""Made-up mixtures with known parts, that the default model's sound classifier learns from."""
