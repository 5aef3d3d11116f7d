"""Mappings: the canonical event and the closed language that turns it into records."""
