"""Trees of files on this machine: read for a version, and written again."""
