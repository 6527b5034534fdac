"""Training pairs composed in the space of instrument maps: phrases, rooms and the flaws of recordings."""
