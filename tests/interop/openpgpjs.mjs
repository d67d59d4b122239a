// OpenPGP.js as a server for tests: one request a line on standard input, one answer a line on standard output, both
// JSON. Starting Node.js for each operation would take longer than the operation. Usage: node openpgpjs.mjs MODULE
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const openpgp = await import(pathToFileURL(process.argv[2]));

const base64 = octets => Buffer.from(octets).toString('base64');

// What others need of a key: both halves in binary, the certificate's fingerprint, and that of the key that this
// implementation encrypts to.
async function describe(key) {
  const encryption = await key.getEncryptionKey();
  return {
    secret: base64(key.toPrivate ? key.toPrivate().write() : key.write()),
    public: base64(key.toPublic().write()),
    certificate: key.getFingerprint(),
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
    const { privateKey, revocationCertificate } = await openpgp.generateKey({
      userIDs: [{ name: 'A test', email: 'test@example.org' }], format: 'object', ...options,
      config: { v6Keys: !!v6, aeadProtect: !!v6 },
    });
    return { ...await describe(privateKey), revocation: revocationCertificate };
  },
  async read({ path }) {
    const [key] = await readKeys(path);
    return describe(key);
  },
  // The key that is encrypted to at that time, of a binary certificate, or "-"
  async choose({ path, seconds }) {
    try {
      const key = await openpgp.readKey({ binaryKey: await readFile(path) });
      const chosen = await key.getEncryptionKey(null, new Date(seconds * 1000));
      return { fingerprint: chosen.getFingerprint() };
    } catch {
      return { fingerprint: '-' };
    }
  },
  async encrypt({ keys, path, wildcard, config, armored }) {
    const message = await openpgp.createMessage({ binary: await readFile(path) });
    const encryptionKeys = await Promise.all(keys.map(async k => openpgp.readKey({ binaryKey: await readFile(k) })));
    const format = armored ? 'armored' : 'binary';
    const sealed = await openpgp.encrypt({ message, encryptionKeys, wildcard, config, format });
    return { message: armored ? sealed : base64(sealed) };
  },
  async decrypt({ key, path, out }) {
    const message = await openpgp.readMessage(await take(path, 'armoredMessage', 'binaryMessage'));
    const { data } = await openpgp.decrypt({ message, decryptionKeys: await readKeys(key), format: 'binary' });
    if (out) {
      await writeFile(out, data);
    }
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
