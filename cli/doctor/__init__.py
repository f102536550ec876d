"""What `cas doctor` looks at, one file a place: this program, this machine, the store, the databases."""
