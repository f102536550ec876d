"""Versions as files that other programs read: JSON lines, CSV, SQL, SQLite; the first two are read back."""
