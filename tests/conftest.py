"""Shared by all tests: one thread per worker, so that two workers do not fight over two cores."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("hearsight", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("hearsight")
