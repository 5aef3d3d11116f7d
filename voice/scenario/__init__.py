"""Scenarios: whole calls written down, played on loopback in virtual time, and judged by what came of them."""
