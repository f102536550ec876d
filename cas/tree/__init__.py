"""The ordered Merkle map from key bytes to chunk id."""
