"""Voice: from what a caller said to one canonical event."""
