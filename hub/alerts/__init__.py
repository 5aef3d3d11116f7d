"""Alerts: tells tenants how their connections are, by webhook and by mail, from what the database says.

::

    watch ──what is──▶ judge ──news──▶ outbox (alert_states, alerts, alert_sendings: one transaction)
                                            │
    send ◀──due rows────────────────────────┘──▶ outside (HTTPS, signed) │ mail (SMTP)
"""
