"""How a call is held: one module a line, and what they share."""
