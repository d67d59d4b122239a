// newkey.mjs OPENPGP-MODULE VERSION TYPE ADDRESS FILE: makes a key with OpenPGP.js; FILE.secret.asc, FILE.cert.asc.
import { writeFile } from "node:fs/promises";

const [module, version, type, address, file] = process.argv.slice(2);
const openpgp = await import(module);
const { privateKey, publicKey } = await openpgp.generateKey({
    type, userIDs: [{ email: address }], config: { v6Keys: version === "6", aeadProtect: version === "6" },
});
await writeFile(`${file}.secret.asc`, privateKey);
await writeFile(`${file}.cert.asc`, publicKey);
