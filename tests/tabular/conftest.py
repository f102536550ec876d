"""The fixtures of the command line, and databases that hold one of everything."""

from tests.cli.conftest import bare, cas, shop
from tests.postgres.target.conftest import crowded_databases

__all__ = ["bare", "cas", "crowded_databases", "shop"]
