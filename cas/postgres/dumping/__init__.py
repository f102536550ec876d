"""The schema as pg_dump writes it, in items, of the tables that a version holds."""
