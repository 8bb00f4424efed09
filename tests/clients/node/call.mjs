// The official MCP client for Node, through the gateway with a certificate of its own. Reads one JSON object on
// stdin: {url, pki, agent, token?, login?, tool, arguments}; writes one on stdout: what came of it. With `login`
// ({client, username, password}) it has no token and logs in as it is told to.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Agent, fetch } from 'undici';
import { Provider } from './login.mjs';

const wish = JSON.parse(readFileSync(0, 'utf8'));
const pem = (name) => readFileSync(join(wish.pki, `${name}.pem`));
const dispatcher = new Agent({
  connect: { ca: pem('ca'), cert: pem(wish.agent), key: pem(`${wish.agent}-key`) },
});
const headers = wish.token ? { authorization: `Bearer ${wish.token}` } : {};
const authProvider = wish.login && new Provider(wish.login);
const connection = () => new StreamableHTTPClientTransport(new URL(wish.url), {
  fetch: (url, options) => fetch(url, { ...options, dispatcher }),
  requestInit: { headers },
  authProvider,
});
let transport = connection();
const client = new Client({ name: 'node-client', version: '1' });

const outcome = { progress: [] };
try {
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(authProvider && error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(authProvider.code());
    transport = connection();
    await client.connect(transport);
  }
  outcome.tools = (await client.listTools()).tools.map((tool) => tool.name);
  outcome.result = await client.callTool({ name: wish.tool, arguments: wish.arguments }, undefined, {
    onprogress: ({ progress }) => outcome.progress.push(progress),
  });
  await transport.terminateSession();
} catch (error) {
  outcome.error = { name: error.constructor.name, code: error.code ?? null, message: error.message, data: error.data ?? null };
} finally {
  await client.close();
  await dispatcher.close();
}
if (authProvider) outcome.logins = authProvider.logins;
process.stdout.write(`${JSON.stringify(outcome)}\n`);
