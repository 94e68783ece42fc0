"""From configurations and model files to objects, once for training and for everything after it."""
