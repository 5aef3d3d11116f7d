"""Turn a transcript into the canonical event, without any network."""
