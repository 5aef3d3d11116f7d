"""Connectors: one folder per vendor, one interface, no vendor's name anywhere else."""
