"""Servers that tests start, use and stop."""
