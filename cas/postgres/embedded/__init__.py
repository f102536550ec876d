"""The embedded PostgreSQL: one server a directory, shared by all processes of a user."""
