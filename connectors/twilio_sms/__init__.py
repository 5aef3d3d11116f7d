"""Twilio SMS: texts to callers, through the twilio SDK."""
