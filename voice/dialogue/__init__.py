"""What is said and asked in a call: a pure state machine, the same on every line and with or without a model."""
