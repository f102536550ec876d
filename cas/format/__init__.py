"""The stored format: bytes to frozen values and back. No I/O, no clock; FORMAT.md is its text."""
