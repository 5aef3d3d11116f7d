"""HubSpot: contacts, companies, deals, tickets, tasks and notes on the date-based API."""
