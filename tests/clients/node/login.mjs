// A person at their browser, for an MCP client that sends them to log in: at Keycloak's own page, by name and password.
import { strict as assert } from 'node:assert';

// Nobody listens there: the browser is ours, and reads where it is sent.
const CALLBACK = 'http://127.0.0.1:49152/callback';

// What the SDK asks of a client that was registered beforehand; `wish`: {client, username, password}.
export class Provider {
  logins = [];
  #wish;
  #tokens;
  #verifier;
  #sentTo;

  constructor(wish) {
    this.#wish = wish;
  }

  get redirectUrl() {
    return CALLBACK;
  }

  get clientMetadata() {
    return { redirect_uris: [CALLBACK], token_endpoint_auth_method: 'none' };
  }

  clientInformation() {
    return { client_id: this.#wish.client };
  }

  tokens() {
    return this.#tokens;
  }

  saveTokens(tokens) {
    this.#tokens = tokens;
  }

  codeVerifier() {
    return this.#verifier;
  }

  saveCodeVerifier(verifier) {
    this.#verifier = verifier;
  }

  async redirectToAuthorization(url) {
    const page = await fetch(url, { redirect: 'manual' });
    const [, action] = /<form[^>]*id="kc-form-login"[^>]*action="([^"]+)"/.exec(await page.text());
    const cookie = page.headers.getSetCookie().map((line) => line.split(';')[0]).join('; ');
    const { username, password } = this.#wish;
    const answer = await fetch(action.replaceAll('&amp;', '&'), {
      method: 'POST', redirect: 'manual', headers: { cookie }, body: new URLSearchParams({ username, password }),
    });
    this.#sentTo = answer.headers.get('location') ?? '';
    assert.ok(this.#sentTo.startsWith(CALLBACK), `${answer.status} ${this.#sentTo}`);
    const asked = (name) => url.searchParams.get(name);
    this.logins.push({
      page: true, scope: asked('scope'), method: asked('code_challenge_method'), resource: asked('resource'),
    });
  }

  // What the callback was told.
  code() {
    return new URL(this.#sentTo).searchParams.get('code');
  }
}
