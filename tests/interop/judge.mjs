// judge.mjs OPENPGPJS SECONDS FILE...: for each binary certificate the fingerprint of the key that OpenPGP.js would encrypt to at
// that time, or "-".
import { readFileSync } from "node:fs";

const [module, seconds, ...files] = process.argv.slice(2);
const openpgp = await import(module);
const date = new Date(Number(seconds) * 1000);
for (const file of files) {
  try {
    const key = await openpgp.readKey({ binaryKey: new Uint8Array(readFileSync(file)) });
    console.log((await key.getEncryptionKey(null, date)).getFingerprint().toUpperCase());
  } catch {
    console.log("-");
  }
}
