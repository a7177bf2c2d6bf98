"""One page a file, each with show()."""
