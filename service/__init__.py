"""The HTTP face of the project. The result models are those of `cas`; no operation lives here."""
