"""Versions as files for people: written, read by other programs, read back."""
