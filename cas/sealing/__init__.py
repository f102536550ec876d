"""Sealed stores: what lies in them says nothing to whoever has no key."""
