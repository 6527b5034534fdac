"""First floor: each metric a pure function and a torchmetrics class."""
