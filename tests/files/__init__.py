"""Trees of files beside the rows."""
