// Stands between a client and an MCP server and writes down each request of the client.
//
//     proxy.mjs PORT SERVER FOLDER CLIENT [COUNTER]
//
// Each request becomes a file FOLDER/CLIENT/VERSION/METHOD[-N].http: the request line, the headers, an empty line, the
// body, as sent but for what names this machine and this run. Of requests alike in shape one is kept. COUNTER is a
// version that the answer to `initialize` is made to name, so that the client goes on under it.
import { createServer, request } from 'node:http';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [port, server, folder, client, counter] = process.argv.slice(2);
const upstream = new URL(server);
const seen = new Set();
// Hop by hop, or the gateway's own business.
const DROPPED = new Set(['host', 'connection', 'keep-alive', 'proxy-connection', 'upgrade', 'te']);
const SESSION = '6c9e6679-7425-40de-944b-e07fc1f90ae7';

function parse(body) {
  try { return JSON.parse(body); } catch { return undefined; }
}

function methodOf(verb, message) {
  if (verb === 'GET') return 'stream-open';
  if (verb === 'DELETE') return 'session-end';
  if (Array.isArray(message)) return 'batch';
  if (message?.method) return message.method.replaceAll('/', '-');
  return message?.error ? 'response-error' : 'response';
}

// Keys and kinds of values: what a parser sees of a message, without what varies from run to run.
function shape(value, deep = 3) {
  if (value === null || typeof value !== 'object' || deep === 0) return value === null ? 'null' : typeof value;
  if (Array.isArray(value)) return [...new Set(value.map((item) => JSON.stringify(shape(item, deep - 1))))];
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, shape(value[key], deep - 1)]));
}

function describe(verb, fields, body) {
  const message = body.length ? parse(body.toString()) : undefined;
  const field = (name) => fields.find(([known]) => known === name)?.[1];
  const offered = message?.method === 'initialize' ? message.params?.protocolVersion : undefined;
  const version = offered ?? field('mcp-protocol-version') ?? '2025-03-26';
  const method = methodOf(verb, message);
  const names = fields.map(([name]) => name).sort();
  const key = JSON.stringify([version, method, names, shape(message, 4), message?.params?.name]);
  return { version, method, digest: createHash('sha256').update(key).digest('hex') };
}

function record(verb, rawHeaders, body) {
  const fields = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at].toLowerCase();
    if (DROPPED.has(name)) continue;
    fields.push([name, name === 'mcp-session-id' ? SESSION : rawHeaders[at + 1]]);
  }
  const { version, method, digest } = describe(verb, fields, body);
  if (seen.has(digest)) return;
  seen.add(digest);
  const place = join(folder, client, version);
  mkdirSync(place, { recursive: true });
  let path = join(place, `${method}.http`);
  for (let n = 2; existsSync(path); n += 1) path = join(place, `${method}-${n}.http`);
  const lines = [`${verb} /mcp`, ...fields.map(([name, value]) => `${name}: ${value}`), '', ''];
  writeFileSync(path, Buffer.concat([Buffer.from(lines.join('\n'), 'latin1'), body]));
}

// What an earlier run of the same client wrote is not written again.
const own = join(folder, client);
for (const file of existsSync(own) ? readdirSync(own, { recursive: true }) : []) {
  if (!file.endsWith('.http')) continue;
  const bytes = readFileSync(join(own, file));
  const end = bytes.indexOf('\n\n');
  const [first, ...lines] = bytes.subarray(0, end).toString('latin1').split('\n');
  const fields = lines.map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]);
  seen.add(describe(first.split(' ')[0], fields, bytes.subarray(end + 2)).digest);
}

createServer((incoming, outgoing) => {
  const chunks = [];
  incoming.on('data', (chunk) => chunks.push(chunk));
  incoming.on('end', () => {
    const body = Buffer.concat(chunks);
    // Discovery of an authorization server is no business of MCP's.
    if (incoming.url === upstream.pathname) record(incoming.method, incoming.rawHeaders, body);
    const headers = { ...incoming.headers, host: upstream.host, 'accept-encoding': 'identity' };
    delete headers['transfer-encoding'];
    headers['content-length'] = String(body.length);
    // The server goes by the version that it named; the client has been told another.
    if (counter && headers['mcp-protocol-version']) headers['mcp-protocol-version'] = spoken ?? counter;
    const forward = request(
      { host: upstream.hostname, port: upstream.port, path: incoming.url, method: incoming.method, headers },
      (answer) => relay(answer, outgoing, /"method":\s*"initialize"/.test(body.toString())),
    );
    forward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forward.destroy());
    forward.end(body);
  });
}).listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));

let spoken;
function relay(answer, outgoing, initialize) {
  const headers = { ...answer.headers };
  delete headers['content-length'];
  outgoing.writeHead(answer.statusCode, headers);
  outgoing.flushHeaders();
  answer.on('data', (chunk) => {
    if (!counter || !initialize) return outgoing.write(chunk);
    const text = chunk.toString();
    spoken ??= /"protocolVersion":\s*"([^"]*)"/.exec(text)?.[1];
    return outgoing.write(text.replace(/"protocolVersion":\s*"[^"]*"/, `"protocolVersion":"${counter}"`));
  });
  answer.on('end', () => outgoing.end());
  answer.on('error', () => outgoing.destroy());
}
