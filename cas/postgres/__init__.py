"""The platform database: reading it in one snapshot, and filling an empty one."""
