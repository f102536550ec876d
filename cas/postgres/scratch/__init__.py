"""Throwaway databases: made beside nobody's data, for a look at a version, and dropped afterwards."""
