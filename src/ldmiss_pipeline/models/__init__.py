"""Between model files and models: the parts that several methods share."""
