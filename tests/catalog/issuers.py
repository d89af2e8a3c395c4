"""An issuer that follows OpenID Connect to the letter, until a test tells it which claim or answer to forge."""

import base64
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from fastapi import FastAPI, Request
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.responses import JSONResponse, Response

from running import serving

type Json = dict[str, Any]


@dataclass
class ForgingIssuer:
    """What it issues, and what it was asked."""

    url: str = ""
    claims: Json = field(default_factory=dict)
    """In place of the honest ones; None leaves a claim out."""
    header: Json = field(default_factory=dict)
    answers: dict[str, Response] = field(default_factory=dict)
    """In place of the honest ones, by path."""
    key: RSAKey = field(default_factory=lambda: a_key("first"))
    forge: Callable[[Json, Json], str] | None = None
    """Makes a token of header and claims, in place of the honest signature."""
    asked: list[tuple[str, Json]] = field(default_factory=list)
    codes: dict[str, Json] = field(default_factory=dict)

    def metadata(self) -> Json:
        """Answer the discovery document."""
        ends = {
            name: f"{self.url}/{name.removesuffix('_endpoint')}"
            for name in ("authorization_endpoint", "token_endpoint")
        }
        return {"issuer": self.url, **ends, "jwks_uri": f"{self.url}/jwks"}

    def sign(self, claims: Json) -> str:
        """Answer a token of the issuer's, forged as the test has told."""
        now = int(time.time())
        honest = {"iss": self.url, "sub": "subject-1", "iat": now, "exp": now + 300, **claims}
        said = {name: value for name, value in {**honest, **self.claims}.items() if value is not None}
        header = {"alg": "RS256", "kid": self.key.kid, **self.header}
        return jwt.encode(header, said, self.key) if self.forge is None else self.forge(header, said)

    def authorize(self, url: str, subject: str = "subject-1") -> str:
        """Sign somebody in whom a browser brings; answer where the browser is sent."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.asked.append(("authorize", asked))
        code = f"code-{len(self.codes)}"
        self.codes[code] = {**asked, "sub": subject}
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.url})}"

    def redeem(self, form: Json) -> Response:
        """Exchange a code, once, for who has the verifier of its challenge."""
        self.asked.append(("token", form))
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if asked is None or asked["code_challenge"] != challenge.rstrip(b"=").decode():
            return JSONResponse({"error": "invalid_grant"}, 400)
        told = {"sub": asked["sub"], "aud": asked["client_id"], "nonce": asked["nonce"]}
        return JSONResponse({"access_token": "opaque", "token_type": "Bearer", "id_token": self.sign(told)})


def a_key(name: str) -> RSAKey:
    """Make a key that signs."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"}, private=True)


@asynccontextmanager
async def forging_issuer() -> AsyncIterator[ForgingIssuer]:
    """Serve the issuer."""
    issuer = ForgingIssuer()
    app = FastAPI()

    @app.get("/.well-known/openid-configuration")
    async def discover() -> Response:
        return issuer.answers.get("metadata") or JSONResponse(issuer.metadata())

    @app.get("/jwks")
    async def jwks() -> Response:
        issuer.asked.append(("jwks", {}))
        own = KeySet([issuer.key]).as_dict(private=False)["keys"]
        # Keys that nobody here can use are left out.
        odd = [{"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA"}, {"kty": "OKP", "crv": "?", "x": "AA"}]
        return issuer.answers.get("jwks") or JSONResponse({"keys": [*odd, *own]})

    @app.post("/token")
    async def token(request: Request) -> Response:
        form: Json = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        form["authorization"] = request.headers.get("authorization")
        return issuer.answers.get("token") or issuer.redeem(form)

    async with serving(app) as url:
        issuer.url = url
        yield issuer


async def follow(browser: httpx.AsyncClient, location: str) -> httpx.Response:
    """Go where a redirect leads, as a browser does: to the catalog, wherever it really listens."""
    parts = urlsplit(location)
    return await browser.get(f"{parts.path}?{parts.query}")
