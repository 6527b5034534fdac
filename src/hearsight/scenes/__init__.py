"""Second floor: pseudo visual-stereo pairs and simulated concerts."""
