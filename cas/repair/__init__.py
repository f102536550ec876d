"""Mending: what is missing or damaged comes back from whoever else has it; what nobody has is named."""
