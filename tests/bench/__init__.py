"""The figures of this program next to those of its peers: `python -m tests.bench`, or `make bench`."""
