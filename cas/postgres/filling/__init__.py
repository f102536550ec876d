"""Filling an empty database: schema in steps, records by COPY, and a mark until it is whole."""
