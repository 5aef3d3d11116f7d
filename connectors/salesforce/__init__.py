"""Salesforce: leads, contacts, tasks and cases, written by external id."""
