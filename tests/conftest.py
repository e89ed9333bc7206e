"""What holds for all tests."""

import hypothesis
import torch

torch.set_num_threads(1)  # two threads on busy cores are slower than one
hypothesis.settings.register_profile("perdure", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("perdure")
