"""What the objects of change capture are called."""

from cas.postgres.reading.shapes import CAPTURE_SCHEMA

OPERATIONS = ("insert", "update", "delete", "truncate")

POSITIONS = f"{CAPTURE_SCHEMA}.positions"
WATERMARKS = f"{CAPTURE_SCHEMA}.watermarks"
LOST = f"{CAPTURE_SCHEMA}.lost"

SEAL = "S"
"""The operation of a log's first row."""


def log_name(oid: int) -> str:
    """The log of the table with this oid, without the schema."""
    return f"log_{oid}"


def function_name(oid: int) -> str:
    """The function that writes the log, without the schema."""
    return f"note_{oid}"


def marking_name(oid: int) -> str:
    """The function for parents that have not all columns of the key, without the schema."""
    return f"mark_{oid}"


def box_name(oid: int, number: int) -> str:
    """The type that holds one value of the key's column `number`, where there are no arrays of its type."""
    return f"box_{oid}_{number}"


def trigger_name(oid: int, operation: str) -> str:
    """A trigger that writes the log of the table with this oid, on it or on one of its family."""
    return f"{CAPTURE_SCHEMA}_{oid}_{operation}"


def setting_name(oid: int) -> str:
    """The transaction's own setting that says that the log was written in it already."""
    return f"{CAPTURE_SCHEMA}.wrote_{oid}"
