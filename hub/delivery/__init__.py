"""Delivery: from an accepted event to a record at the vendor, once, within the account's limits.

::

    plan ──▶ wake ──▶ jobs ──▶ send: claim · build · connector.write · settle
                        ▲
    sweep ──────────────┘  (rebuilds every wake-up from the table)
"""
