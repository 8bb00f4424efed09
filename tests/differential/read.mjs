// Reads each text of a file (one a line, in hexadecimal) as a server in JavaScript would; prints what it found.
import { readFileSync } from 'node:fs';

const bits = new DataView(new ArrayBuffer(8));
const hex = (text) => Buffer.from(text, 'utf8').toString('hex');

// One spelling for one value. JavaScript puts keys that look like integers first, so members are sorted.
function canonical(value) {
  if (value === null) return 'n';
  if (value === true) return 't';
  if (value === false) return 'f';
  if (typeof value === 'number') {
    bits.setFloat64(0, value);
    return `d${bits.getBigUint64(0).toString(16).padStart(16, '0')};`;
  }
  if (typeof value === 'string') return `s${hex(value)};`;
  if (Array.isArray(value)) return `[${value.map(canonical).join('')}]`;
  const members = Object.keys(value).map((key) => [hex(key), canonical(value[key])]);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `s${key};${member}`).join('')}}`;
}

const texts = readFileSync(process.argv[2], 'ascii').split('\n').slice(0, -1);
const lines = texts.map((text) => {
  const bytes = Buffer.from(text, 'hex');
  try {
    const found = new Set([JSON.parse(bytes.toString('utf8')), JSON.parse(new TextDecoder().decode(bytes))].map(canonical));
    return found.size === 1 ? [...found][0] : '!several readings';
  } catch (error) {
    return `!${error.name}: ${error.message}`.replaceAll('\n', ' ');
  }
});
process.stdout.write(lines.map((line) => `${line}\n`).join(''));
