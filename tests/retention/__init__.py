"""Which versions stay and which go."""
