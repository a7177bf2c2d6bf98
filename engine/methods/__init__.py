"""One file, one method. A file here is found by the catalogue; nothing else lists it."""
