"""Reading a platform: what there is, under which locks, and every record of one moment."""
