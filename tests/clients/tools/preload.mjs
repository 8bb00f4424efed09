// Loaded before a tool that knows nothing of client certificates (NODE_OPTIONS=--import …): every connection of the
// process is TLS, shows the certificate in MCP_CLIENT_CERTIFICATE, and trusts the authority in MCP_CLIENT_AUTHORITY
// alone. A Host header of another name doesn't change whose certificate is expected.
import fs, { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { register } from 'node:module';
import tls from 'node:tls';

const certificate = process.env.MCP_CLIENT_CERTIFICATE;
if (certificate) {
  const shown = {
    ca: readFileSync(process.env.MCP_CLIENT_AUTHORITY),
    cert: readFileSync(`${certificate}.pem`),
    key: readFileSync(`${certificate}-key.pem`),
    servername: 'localhost',
  };
  const connect = tls.connect;
  tls.connect = (options, ...rest) => connect({ ...options, ...shown }, ...rest);
  http.request = https.request;
}

if (fs.globSync === undefined) register('./node20.mjs', import.meta.url);
