"""Trying out whether a store keeps what the engine relies on, and how fast it is."""
