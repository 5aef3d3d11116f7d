"""Twilio in miniature: a telephone network that calls the numbers of an application."""
