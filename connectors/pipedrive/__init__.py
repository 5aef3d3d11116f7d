"""Pipedrive: persons, organizations, leads, deals, activities and notes."""
