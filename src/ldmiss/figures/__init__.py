"""Tables and images to matplotlib figures."""
