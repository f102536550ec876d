"""The story of `cas demo`: its place, its steps, how it is told."""
