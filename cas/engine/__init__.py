"""The engine: chunks to packs and back, and the write order. It owns ids and what is durable when."""
