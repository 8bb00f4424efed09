// Client libraries for Node: every message that they send. `node.mjs LIBRARY URL [MODE]`.
import { z } from 'zod';

const [library, url, mode] = process.argv.slice(2);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// What a server doesn't offer is sent all the same.
async function tried(name, what) {
  try {
    return await Promise.race([what(), sleep(10_000).then(() => { throw new Error('timed out'); })]);
  } catch (error) {
    console.error(`  ${name}: ${String(error.message).slice(0, 120)}`);
    return undefined;
  }
}

const info = { name: 'recorder', title: 'A recorder', version: '1.0.0' };
const sampled = { role: 'assistant', content: { type: 'text', text: 'Paris' }, model: 'a-model', stopReason: 'endTurn' };
const elicited = { action: 'accept', content: { name: 'Ada', age: 36 } };
const roots = { roots: [{ uri: 'file:///srv/work', name: 'work' }] };

// The calls that both generations of the official SDK have.
async function calls(client) {
  await tried('tools/list', () => client.listTools());
  await tried('tools/list', () => client.listTools({ cursor: 'abc' }));
  await tried('add', () => client.callTool({ name: 'add', arguments: { a: 1.5, b: 2, note: 'Genève 🌧' } }));
  await tried('greet', () => client.callTool({ name: 'greet', arguments: { city: 'Zürich' } }));
  await tried('think', () => client.callTool({ name: 'think', arguments: {} }));
  await tried('look', () => client.callTool({ name: 'look' }));
  await tried('prompts/list', () => client.listPrompts());
  await tried('prompts/get', () => client.getPrompt({ name: 'review', arguments: { code: 'x' } }));
  await tried('resources/list', () => client.listResources());
  await tried('templates', () => client.listResourceTemplates());
  await tried('resources/read', () => client.readResource({ uri: 'docs://guide' }));
  await tried('complete', () => client.complete({ ref: { type: 'ref/prompt', name: 'review' }, argument: { name: 'language', value: 'p' } }));
  await tried('complete', () => client.complete({
    ref: { type: 'ref/resource', uri: 'docs://{chapter}/page' },
    argument: { name: 'chapter', value: '' },
    context: { arguments: { a: 'b' } },
  }));
}

async function sessions(client) {
  await tried('ping', () => client.ping());
  await tried('logging', () => client.setLoggingLevel('debug'));
  await tried('subscribe', () => client.subscribeResource({ uri: 'docs://guide' }));
  await tried('unsubscribe', () => client.unsubscribeResource({ uri: 'docs://guide' }));
  await tried('roots', () => client.sendRootsListChanged());
  await tried('progress', () => client.notification({ method: 'notifications/progress', params: { progressToken: 't', progress: 0.5, total: 1, message: 'half' } }));
}

const libraries = {
  // @modelcontextprotocol/sdk, of the protocol's versions up to 2025-11-25.
  async sdk() {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
    const types = await import('@modelcontextprotocol/sdk/types.js');
    const capabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };
    const client = new Client(info, { capabilities, enforceStrictCapabilities: false });
    client.setRequestHandler(types.CreateMessageRequestSchema, () => sampled);
    client.setRequestHandler(types.ElicitRequestSchema, () => elicited);
    client.setRequestHandler(types.ListRootsRequestSchema, () => roots);
    const transport = new StreamableHTTPClientTransport(new URL(url));
    await client.connect(transport);
    await calls(client);
    await sessions(client);
    await tried('work', () => client.callTool({ name: 'work', arguments: { steps: 2 } }, undefined, { onprogress: () => {} }));
    await tried('cancel', () => client.callTool({ name: 'work', arguments: { steps: 100 } }, undefined, { timeout: 300 }));
    await tried('error', () => transport.send({ jsonrpc: '2.0', id: 99, error: { code: -1, message: 'User rejected sampling request' } }));
    const tasks = client.experimental.tasks;
    await tried('task', async () => {
      const stream = tasks.callToolStream({ name: 'simulate-research-query', arguments: { topic: 'x' } }, types.CallToolResultSchema, { task: { ttl: 60000 } });
      for await (const _ of stream) { /* until its end */ }
    });
    await tried('tasks/list', () => client.request({ method: 'tasks/list', params: {} }, z.any()));
    await tried('tasks/get', () => client.request({ method: 'tasks/get', params: { taskId: '786512e2' } }, z.any()));
    await tried('tasks/result', () => client.request({ method: 'tasks/result', params: { taskId: '786512e2' } }, z.any()));
    await tried('tasks/cancel', () => client.request({ method: 'tasks/cancel', params: { taskId: '786512e2' } }, z.any()));
    await transport.terminateSession();
    await client.close();
  },

  // @modelcontextprotocol/client, of 2026-07-28 too.
  async client() {
    const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
    const capabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };
    const client = new Client(info, { capabilities, versionNegotiation: { mode: mode === 'legacy' ? 'legacy' : { pin: mode } } });
    client.setRequestHandler('sampling/createMessage', () => sampled);
    client.setRequestHandler('elicitation/create', () => elicited);
    client.setRequestHandler('roots/list', () => roots);
    const transport = new StreamableHTTPClientTransport(new URL(url));
    await client.connect(transport);
    await calls(client);
    await tried('work', () => client.callTool({ name: 'work', arguments: { steps: 2 } }, { onprogress: () => {} }));
    await tried('cancel', () => client.callTool({ name: 'work', arguments: { steps: 100 } }, { timeout: 300 }));
    if (mode === 'legacy') await sessions(client);
    else {
      await tried('discover', () => client.discover());
      await tried('listen', async () => (await client.listen({ toolsListChanged: true, resourceSubscriptions: ['docs://guide'] })).close());
    }
    await transport.terminateSession?.();
    await client.close();
  },

  async 'ai-sdk'() {
    const { createMCPClient } = await import('@ai-sdk/mcp');
    const client = await createMCPClient({ transport: { type: 'http', url } });
    const tools = await client.tools();
    await tried('add', () => tools.add.execute({ a: 1, b: 2 }, { messages: [], toolCallId: '1' }));
    await tried('resources', () => client.listResources());
    await tried('read', () => client.readResource({ uri: 'docs://guide' }));
    await tried('templates', () => client.listResourceTemplates());
    await tried('prompts', () => (client.listPrompts ?? client.experimental_listPrompts).call(client));
    await tried('prompt', () => (client.getPrompt ?? client.experimental_getPrompt).call(client, { name: 'review', arguments: { code: 'x' } }));
    await client.close();
  },

  async 'mcp-client'() {
    const { MCPClient } = await import('mcp-client');
    const client = new MCPClient({ name: 'recorder', version: '1.0.0' });
    await client.connect({ type: 'httpStream', url });
    await tried('ping', () => client.ping());
    await tried('tools', () => client.getAllTools());
    await tried('add', () => client.callTool({ name: 'add', arguments: { a: 1 } }));
    await tried('resources', () => client.getAllResources());
    await tried('resource', () => client.getResource({ uri: 'docs://guide' }));
    await tried('prompts', () => client.getAllPrompts());
    await tried('prompt', () => client.getPrompt({ name: 'review', arguments: { code: 'x' } }));
    await tried('logging', () => client.setLoggingLevel('info'));
    await client.close();
  },

  // mcp-remote speaks for a client on standard input and output: here, the one of the SDK.
  async 'mcp-remote'() {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StdioClientTransport } = await import('@modelcontextprotocol/sdk/client/stdio.js');
    const client = new Client(info);
    await client.connect(new StdioClientTransport({ command: 'npx', args: ['mcp-remote', url, '--allow-http', '--transport', 'http-only'] }));
    await calls(client);
    await client.close();
  },
};

await libraries[library]();
process.exit(0);
