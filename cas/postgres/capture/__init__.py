"""Change capture: triggers in the platform that note which keys were written, and who reads what they noted.

Everything lies in one schema, `cas_capture`. Of each table there is a log (`log_<oid>`) of statements with
the keys that they wrote, in arrays of the keys' own types; a function (`note_<oid>`) that writes it; and
statement triggers on the table, its partitions and its inheritance parents. Beside the logs, `positions` says
up to where each repository has read, `watermarks` up to where logs were pruned, and `lost` counts what could
not be noted. All tables are unlogged: a logged one would become part of publications FOR ALL TABLES.

A log is trusted only as far as its first row, the seal, says: what the catalogs held when it was set, for
whom it counts, and what is not so any more (cas.postgres.capture.seals).
"""
