"""Versions that are taken because something happened, or because it is time.

`occasions` decides from policies what is worth a version, `words` says it, `whole_versions` knows the
versions before, `watcher` puts them together.
"""
