"""Headers that tell a browser to load nothing but our own files, and to keep nothing it need not."""

from __future__ import annotations

from flask import Response, g, request

from hub.web.viewer import is_https

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "media-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
CONTENT_SECURITY_POLICY = "; ".join(f"{name} {value}" for name, value in _POLICY.items())
_YEAR_S = 31_536_000


def protect(response: Response) -> Response:
    """Add the headers to a page or an asset."""
    found = response.headers
    found["Content-Security-Policy"] = _policy()
    found["X-Content-Type-Options"] = "nosniff"
    found["Referrer-Policy"] = "same-origin"
    found["Cross-Origin-Opener-Policy"] = "same-origin"
    found["Cross-Origin-Resource-Policy"] = "same-origin"
    microphone = "(self)" if g.get("uses_microphone") else "()"
    found["Permissions-Policy"] = f"camera=(), geolocation=(), microphone={microphone}, payment=()"
    found["X-Frame-Options"] = "DENY"
    if is_https():
        found["Strict-Transport-Security"] = f"max-age={_YEAR_S}"
    if request.endpoint == "web.static":
        seconds = _YEAR_S if request.args.get("v") else 60
        found["Cache-Control"] = f"public, max-age={seconds}"
    else:
        found["Cache-Control"] = "no-store"  # pages hold what callers said
        found.add("Vary", "Cookie")
    return response


def _policy() -> str:
    """Give the policy; a view that names another place to connect to, in ``g.connects_to``, may reach that one too."""
    if more := g.get("connects_to"):
        parts = {**_POLICY, "connect-src": f"'self' {more}"}
        return "; ".join(f"{name} {value}" for name, value in parts.items())
    return CONTENT_SECURITY_POLICY
