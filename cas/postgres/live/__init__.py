"""The running platform: looked at for a plan, and changed by one transaction."""
