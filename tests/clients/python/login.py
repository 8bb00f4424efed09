"""A person at their browser, for an MCP client that sends them to log in: at Keycloak's own page, by name and password."""

import html
import re
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

# Nobody listens there: the browser is ours, and reads where it is sent.
CALLBACK = "http://127.0.0.1:49152/callback"


class Memory:
    """What the client keeps: its registration, made beforehand, and its tokens."""

    def __init__(self, client_id: str) -> None:
        self.client = OAuthClientInformationFull(
            client_id=client_id, redirect_uris=[CALLBACK], token_endpoint_auth_method="none"
        )
        self.tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull:
        return self.client

    async def set_client_info(self, client: OAuthClientInformationFull) -> None:
        raise AssertionError(f"another registration: {client}")


class Browser:
    """It keeps cookies: who has logged in once isn't asked again."""

    def __init__(self, username: str, password: str) -> None:
        self.person = {"username": username, "password": password}
        # As browsers do on loopback: Secure cookies go over plain HTTP, too.
        cookies = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
        self.http = httpx2.AsyncClient(cookies=cookies, trust_env=False)
        self.logins: list[dict] = []
        self.sent_to = ""

    async def open(self, url: str) -> None:
        """Follows the client's wish as far as the callback."""
        wish = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        answer = await self.http.get(url)
        page = answer.status_code == 200
        if page:
            form = re.search(r'<form[^>]*id="kc-form-login"[^>]*action="([^"]+)"', answer.text)
            assert form, f"no login form at {url}"
            answer = await self.http.post(html.unescape(form[1]), data=self.person)
        self.sent_to = answer.headers.get("location", "")
        assert self.sent_to.startswith(CALLBACK), (answer.status_code, self.sent_to)
        self.logins.append(
            {"page": page, "scope": wish.get("scope"), "method": wish.get("code_challenge_method")}
            | {"resource": wish.get("resource")}
        )

    async def code(self) -> AuthorizationCodeResult:
        """What the callback was told."""
        told = parse_qs(urlsplit(self.sent_to).query)
        assert "code" in told, self.sent_to
        return AuthorizationCodeResult(code=told["code"][0], state=told["state"][0], iss=told.get("iss", [None])[0])


def provider(url: str, wish: dict) -> tuple[OAuthClientProvider, Browser]:
    """For `wish`: {client, username, password}."""
    browser = Browser(wish["username"], wish["password"])
    metadata = OAuthClientMetadata(redirect_uris=[CALLBACK], token_endpoint_auth_method="none")
    auth = OAuthClientProvider(url, metadata, Memory(wish["client"]), browser.open, browser.code)
    return auth, browser
