// What npm's WKD and HKP clients find, read by OpenPGP.js, as one line of JSON.
// Usage: node keyserver_client.mjs OPENPGPJS WKD_CLIENT HKP_CLIENT '{"server", "wkd": {...}, "hkp": {...}, "upload"}'
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [, , module, wkdFolder, hkpFolder, words] = process.argv;
const openpgp = await import(pathToFileURL(module));
const require = createRequire(import.meta.url);
const asked = JSON.parse(words);
const wkd = new (require(wkdFolder))();
const hkp = new (require(hkpFolder))(asked.server);

// A certificate that this implementation would encrypt to, with its user ids.
async function describe(key) {
  await key.getEncryptionKey();
  return { fingerprint: key.getFingerprint(), userIDs: key.getUserIDs() };
}

async function tell(find) {
  try {
    return await find();
  } catch (e) {
    return { error: e.message };
  }
}

const found = { wkd: {}, hkp: {} };
for (const [name, email] of Object.entries(asked.wkd))
  found.wkd[name] = await tell(async () =>
    describe(await openpgp.readKey({ binaryKey: await wkd.lookup({ email }) })));
for (const [name, search] of Object.entries(asked.hkp))
  found.hkp[name] = await tell(async () => {
    const armoredKey = await hkp.lookup(search);
    return armoredKey ? describe(await openpgp.readKey({ armoredKey })) : null;
  });
found.upload = (await hkp.upload(asked.upload)).status;
console.log(JSON.stringify(found));
