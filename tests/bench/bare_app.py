"""The yardstick for accepting: Flask that writes three rows to PostgreSQL and checks nothing."""

from __future__ import annotations

import os
import threading

import psycopg
from flask import Flask, Response, request

app = Flask(__name__, static_folder=None)
_held = threading.local()


def connection() -> psycopg.Connection:
    """Give this thread's connection."""
    found = getattr(_held, "connection", None)
    if found is None:
        found = _held.connection = psycopg.connect(os.environ["BARE_DATABASE_URL"])
    return found


@app.post("/v1/events")
def post() -> Response:
    """Write an event and two deliveries in one transaction."""
    sent = request.get_json()
    with connection().transaction():
        sql = "insert into bare_events (name, body) values (%s, %s) returning id"
        number = connection().execute(sql, (sent["id"], request.get_data())).fetchone()[0]
        for step in ("lead", "callback"):
            sql = "insert into bare_deliveries (event, step) values (%s, %s)"
            connection().execute(sql, (number, step))
    return Response(f'{{"id": {number}}}', 202, mimetype="application/json")
