"""Everything that a version needs: document, list of entities, definitions, schema, dictionaries, trees,
records and the pieces of large values. Walked once, however many versions share it."""
