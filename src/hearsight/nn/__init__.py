"""First floor: the building blocks of the networks."""
