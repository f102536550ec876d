"""A deterministic simulator of several machines on one store, and of all that can go wrong there."""
