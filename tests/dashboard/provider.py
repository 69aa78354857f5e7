"""An identity provider (OpenID Connect, code flow with PKCE) on loopback: it asks who you are and believes it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import uvicorn
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID, CLIENT_SECRET = "calls", "only between the two of us"
START_S = 30.0


class Provider:
    """Its people are claims by name: `email` and `email_verified`."""

    def __init__(self, address: str, people: Mapping[str, Mapping[str, Any]]) -> None:
        self.address, self.people = address, people
        self.key = rsa.generate_private_key(65_537, 2_048)
        self.given: dict[str, dict[str, str]] = {}
        """Code -> what it was given for."""
        self.num_ended = 0
        """Sessions that were ended here."""

    def app(self) -> Starlette:
        """The provider as a web application."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/jwks", self.keys),
                Route("/end", self.end),
            ]
        )

    async def configuration(self, request: Request) -> Response:
        names = {"authorization": "authorize", "token": "token", "end_session": "end"}
        return JSONResponse(
            {
                "issuer": self.address,
                "jwks_uri": f"{self.address}/jwks",
                **{f"{name}_endpoint": f"{self.address}/{path}" for name, path in names.items()},
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }
        )

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        person = asked.pop("person", None)
        if person is None:
            links = "".join(
                f'<p><a href="/authorize?{urlencode(asked | {"person": one})}">{one}</a></p>' for one in self.people
            )
            return HTMLResponse(f"<html><title>Who are you?</title>{links}</html>")
        code = secrets.token_urlsafe(16)
        self.given[code] = asked | {"person": person}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = self.given.pop(str(form["code"]), None)
        digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        challenge = encoded(digest)
        is_known = request.headers.get("authorization") == f"Basic {basic}"
        if asked is None or not is_known or asked["code_challenge"] != challenge:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.address, "aud": CLIENT_ID, "sub": asked["person"], "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], **self.people[asked["person"]],
        }  # fmt: skip
        answer = {"access_token": "unused", "token_type": "Bearer", "expires_in": 300}
        return JSONResponse(answer | {"id_token": self.signed(claims)})

    def signed(self, claims: Mapping[str, Any]) -> str:
        """A JSON Web Token (RFC 7519) with RS256."""
        head = {"alg": "RS256", "kid": "test", "typ": "JWT"}
        content = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
        return f"{content}.{encoded(self.key.sign(content.encode(), padding.PKCS1v15(), SHA256()))}"

    async def keys(self, request: Request) -> Response:
        public = self.key.public_key().public_numbers()
        numbers = {
            name: encoded(number.to_bytes((number.bit_length() + 7) // 8, "big"))
            for name, number in (("n", public.n), ("e", public.e))
        }
        return JSONResponse({"keys": [{"kty": "RSA", "kid": "test", "use": "sig", "alg": "RS256", **numbers}]})

    async def end(self, request: Request) -> Response:
        self.num_ended += 1
        return RedirectResponse(request.query_params["post_logout_redirect_uri"], 302)


def encoded(content: bytes) -> str:
    """base64url without padding, as JSON Web Tokens have it."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@contextmanager
def provider_of(people: Mapping[str, Mapping[str, Any]]) -> Iterator[Provider]:
    """A running provider of these people."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        provider = Provider(f"http://127.0.0.1:{listening.getsockname()[1]}", people)
        server = uvicorn.Server(uvicorn.Config(provider.app(), log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until = time.monotonic() + START_S
        while not server.started:
            assert time.monotonic() < until, "the provider did not start"
            time.sleep(0.05)
        try:
            yield provider
        finally:
            server.should_exit = True
            thread.join(START_S)
