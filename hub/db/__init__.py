"""The database: one module per aggregate, tenants kept apart in ``tenancy``."""
