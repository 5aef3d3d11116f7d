"""Zendesk Support: tickets, and the people who ask."""
