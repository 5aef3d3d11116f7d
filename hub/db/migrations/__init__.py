"""Migrations; each runs beside the previous release."""
