"""Bundles: a version leaves in one file, and comes in again elsewhere (FORMAT.md, "Bundles")."""
