"""Golden vectors of the stored format, one scenario a file. How to read them: FORMAT.md, "Test vectors"."""
