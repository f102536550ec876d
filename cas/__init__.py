"""Content-addressed backups and versions of the records of a PostgreSQL database."""

__version__ = "0.1.0"
