"""The vendors of a telephone call in miniature, and time that passes only when everybody waits."""
