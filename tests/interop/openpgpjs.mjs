// OpenPGP.js as a server for tests: one request a line on standard input, one answer a line on standard output, both
// JSON. Starting Node.js for each operation would take longer than the operation. Usage: node openpgpjs.mjs MODULE
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const openpgp = await import(pathToFileURL(process.argv[2]));

const base64 = octets => Buffer.from(octets).toString('base64');

// What others need of a key: both halves in binary, and the fingerprint of the key that this implementation encrypts to.
async function describe(key) {
  const encryption = await key.getEncryptionKey();
  return {
    secret: base64(key.toPrivate ? key.toPrivate().write() : key.write()),
    public: base64(key.toPublic().write()),
    fingerprint: encryption.getFingerprint(),
    algorithm: encryption.getAlgorithmInfo(),
    version: encryption.keyPacket.version,
  };
}

// Armoured or binary: other programs write both.
async function take(path, armored, binary) {
  const data = await readFile(path);
  return data.subarray(0, 10).toString() === '-----BEGIN' ? { [armored]: data.toString() } : { [binary]: data };
}

const readKeys = async path => openpgp.readPrivateKeys(await take(path, 'armoredKeys', 'binaryKeys'));

const operations = {
  // options: what generateKey takes; v6: version 6
  async generate({ options, v6 }) {
    const { privateKey } = await openpgp.generateKey({
      userIDs: [{ name: 'A test', email: 'test@example.org' }], format: 'object', ...options,
      config: { v6Keys: !!v6, aeadProtect: !!v6 },
    });
    return describe(privateKey);
  },
  async read({ path }) {
    const [key] = await readKeys(path);
    return describe(key);
  },
  async encrypt({ keys, path, wildcard, config }) {
    const message = await openpgp.createMessage({ binary: await readFile(path) });
    const encryptionKeys = await Promise.all(keys.map(async k => openpgp.readKey({ binaryKey: await readFile(k) })));
    return { message: base64(await openpgp.encrypt({ message, encryptionKeys, wildcard, config, format: 'binary' })) };
  },
  async decrypt({ key, path }) {
    const message = await openpgp.readMessage(await take(path, 'armoredMessage', 'binaryMessage'));
    const { data } = await openpgp.decrypt({ message, decryptionKeys: await readKeys(key), format: 'binary' });
    return { sha256: createHash('sha256').update(data).digest('hex'), length: data.length };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = await operations[request.op](request);
  } catch (error) {
    answer = { error: `${error.message}` };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}
