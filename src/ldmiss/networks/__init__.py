"""Network architectures: `torch.nn.Module`s only, no training and no files."""
