"""Which versions stay and which go, and why: pure decisions, of which every executor is only the hand."""
