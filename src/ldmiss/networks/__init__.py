"""What all networks share: building blocks, first weights, and making a network again from its weights."""
