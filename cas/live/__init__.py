"""Restores into the running platform: compare, decide, plan, execute in one transaction, undo."""
