// decrypt.mjs OPENPGP-MODULE SECRET-KEY NAME...: decrypts each NAME.asc to NAME.out with OpenPGP.js.
import { readFile, writeFile } from "node:fs/promises";

const [module, key, ...names] = process.argv.slice(2);
const openpgp = await import(module);
const decryptionKeys = await openpgp.readPrivateKey({ armoredKey: await readFile(key, "utf8") });
for (const name of names) {
    const message = await openpgp.readMessage({ armoredMessage: await readFile(`${name}.asc`, "utf8") });
    const { data } = await openpgp.decrypt({ message, decryptionKeys, format: "binary" });
    await writeFile(`${name}.out`, data);
}
