"""Copies of a repository in other stores, each of which is enough to bring everything back."""
