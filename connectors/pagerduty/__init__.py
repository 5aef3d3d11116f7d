"""PagerDuty: incidents that page the on-call, and notes on them, on the REST API v2."""
