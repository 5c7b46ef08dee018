"""Very many connections, good, bad and ugly, against servers that must not mind."""
