"""Reading what changed, against real servers."""
