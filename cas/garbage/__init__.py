"""Garbage collection: what no version needs goes, and nothing that one needs."""
