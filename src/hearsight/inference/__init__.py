"""Third floor: a file through a model, in windows, batches and constant memory."""
