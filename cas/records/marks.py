"""A moment in one server's history, by which later changes of rows are found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """The snapshot of one read, and in which history it means something.

    `xmin`: every transaction below it had ended then, 64 bits wide. `snapshot`: the whole of it, as
    PostgreSQL writes a pg_snapshot. The rest says whether another moment is of the same history: a copy
    of the database, an older state of its disk, or a server that was started again is another one.
    `started`: when the server was, and when its statistics were reset, as after each crash.
    """

    xmin: int
    snapshot: str
    system_identifier: str
    database_oid: int
    timeline: int
    in_recovery: bool
    started: str

    def sees(self, transaction: int) -> bool:
        """Whether what this transaction, 64 bits wide, wrote was visible then, if it was committed at all."""
        lowest, highest, running = self.snapshot.split(":")
        if transaction < int(lowest):
            return True
        return transaction < int(highest) and str(transaction) not in running.split(",")

    def is_same_database(self, other: "Mark") -> bool:
        """Whether both are of one database, as far as it says itself."""
        return (self.system_identifier, self.database_oid) == (other.system_identifier, other.database_oid)

    def why_not_since(self, earlier: "Mark") -> str:
        """Why what happened since `earlier` cannot be told from transaction numbers; empty where it can."""
        if self.system_identifier != earlier.system_identifier:
            return "another server"
        if self.database_oid != earlier.database_oid:
            return "another database of the server"
        if (self.timeline, self.in_recovery) != (earlier.timeline, earlier.in_recovery):
            return "the server has become another one by a failover or a recovery"
        if self.started != earlier.started:
            return "the server was started again, or recovered from a crash"
        if self.xmin < earlier.xmin:
            return "the server stands before the earlier read"
        return ""
