"""What a record is: entities, columns, keys and payloads, and the port that reads them."""
