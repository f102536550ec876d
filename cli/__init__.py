"""The terminal face of the project. The result models are those of `cas`; no operation lives here.

With `--json` standard output holds exactly one line: the result, or `{"error": ...}` with code, what,
where, hint and exit code. Standard error holds one object a line, each with an `event`: `progress`
(every second, and at the end), `step` (of the demo), `note`, `warning`, `error`.
"""
