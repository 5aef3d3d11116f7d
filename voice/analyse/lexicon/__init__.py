"""Words and patterns of many languages, as data."""
