"""Settings shared by all tests: one thread, so that times and float sums do not depend on the machine's cores."""

import torch

torch.set_num_threads(1)
