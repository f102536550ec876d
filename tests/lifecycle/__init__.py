"""What stays, what goes, and what is lost on no way."""
