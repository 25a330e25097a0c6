"""Rejected records, read back: from stores, from topics of dead letters, from their sources."""
