'''The shared kit of all sandboxes: vendors in miniature, served over real HTTP.

A vendor's ``sandbox.py`` has one function and says only what the vendor does; the kit brings
storage, OAuth, limits, faults, statistics and the page on which a person sees the records::

    from connectors.sandbox.kit import Answers, Sandbox, View
    from connectors.sandbox.limits import LimitRule, Usage
    from connectors.sandbox.oauth import Grant, OAuthRules, SandboxAccount

    def create_sandbox(folder: Path, *, public_url: str) -> Flask:
        """Give the vendor in miniature, with its state in this folder."""
        sandbox = Sandbox(
            name="acme", label="Acme CRM", folder=folder, public_url=public_url,
            key_field="afterbeep_key",                    # counts the writes of each of our keys
            accounts=(SandboxAccount("1001", "Whitfield Plumbing"), ...),
            oauth=OAuthRules(
                authorize_path="/oauth/authorize", token_path="/oauth/token",
                revoke_path="/oauth/revoke", scopes=("contacts.read", "contacts.write"),
                token_lifetime_s=1800, answer=lambda grant: {"hub_id": int(grant.account.id)},
            ),
            limits=(LimitRule("burst", 110, 10.0), LimitRule("requests", 625_000, 86_400.0)),
            answers=AcmeAnswers(),                        # the vendor's words for 401, 429, 5xx
            views=(View("contacts", "Contacts", title=("firstname", "lastname")),),
        )
        store = sandbox.store
        store.index("email")                              # makes find() by this field fast

        @sandbox.route("/crm/contacts/batch/upsert", methods=["POST"])   # cost={"burst": 1, "requests": 1}
        def upsert(grant: Grant) -> Response:             # only called with a good token, within the limits
            with store.transaction():                     # all of it or nothing; there after SIGKILL
                found = store.find(grant.account.id, "contacts", {"email": ...})
                record = store.insert(grant.account.id, "contacts", sandbox.new_number(), {...})
            return jsonify(...)

        return sandbox.app

``Answers`` (a Protocol in ``kit``) has ``unauthorised(state)``, ``throttled(usages)``,
``failed(status)`` (any status that a fault asks for, 429 too) and ``headers(usages)`` (limit headers of every answer).
``sandbox.refused_row()`` gives the error code of a ``row`` fault that hit this request, or None.
Ids must be unique in the whole sandbox for one object. A handler that needs no token is added with
``sandbox.route(..., needs_token=False)`` and takes no grant.

Serve it with ``afterbeep sandbox acme --port 8301`` or :func:`connectors.sandbox.serve.serve`.
What a running sandbox offers besides the vendor's API:

===================================  ===============================================================
``GET /``, ``/records/<object>/<id>``  pages for a person
``GET /_sandbox/records.json``       ``?object=&account=&limit=`` records, newest first
``GET /_sandbox/stats.json``         calls by endpoint and status, records, duplicate keys, tokens, limits
``GET POST DELETE /_sandbox/faults``  see :mod:`connectors.sandbox.faults`
``GET /_sandbox/keys.json``          what a person pastes, of a vendor that is reached with keys
``GET /_sandbox/connection.json``     settings of a connection with which it can be tried at any hour
``GET POST /_sandbox/settings``      ``token_lifetime_s``, ``rotates_refresh``, ``limits: {name: capacity}``
``POST /_sandbox/expire``            all access tokens expire now
``POST /_sandbox/revoke``            all grants are withdrawn now
``POST /_sandbox/clear``             all records are forgotten
===================================  ===============================================================

A vendor that is reached with keys gets ``keys=KeyRules(...)`` (:mod:`connectors.sandbox.keys`) instead of
``oauth``; ``revoke`` then makes new keys, ``expire`` does nothing.

Client id and secret are ``CLIENT_ID`` and ``CLIENT_SECRET`` of :mod:`connectors.sandbox.oauth`.
'''
