"""Lets the facts of this folder use its modules, such as running.py."""
