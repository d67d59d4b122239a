// wrap_own.mjs WEB KEY FOLDER: wraps the file KEY under each kind of secret, tries others, and leaves envelopes in
// FOLDER. Prints a JSON object; the test judges it.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [, , web, keyFile, folder] = process.argv;
const w = await import(pathToFileURL(`${web}/session/wrap.mjs`));
const p = await import(pathToFileURL(`${web}/session/phrase.mjs`));
const key = new Uint8Array(readFileSync(keyFile));
const hex = (octets) => Buffer.from(octets).toString("hex");
const same = (a, b) => hex(a) === hex(b);
const said = (promise) => promise.then(() => "opened", (e) => e.name + ": " + e.message);
const of = (make) => {
  try {
    return make();
  } catch (e) {
    return e.name + ": " + e.message;
  }
};

const phrase = p.makePhrase();
const secrets = { [w.PASSWORD]: new Uint8Array(64).fill(1), [w.PHRASE]: p.readPhrase(phrase),
  [w.PASSKEY]: new Uint8Array(32).fill(3) };
const out = { opened: [], others: [], lengths: [] };
for (const kind of [w.PASSWORD, w.PHRASE, w.PASSKEY]) {
  const envelope = await w.wrap(kind, secrets[kind], key);
  out.opened.push(same(await w.unwrap(secrets[kind], envelope), key) && w.kindOf(envelope) === kind);
  const other = secrets[kind].slice();
  other[0] ^= 1;
  out.others.push(await said(w.unwrap(other, envelope)));
  out.lengths.push(await said(w.unwrap(new Uint8Array(5), envelope)), envelope.length - key.length);
  writeFileSync(`${folder}/${kind}`, envelope);
}
writeFileSync(`${folder}/text`, Buffer.from(readFileSync(`${folder}/2`)).toString("base64url") + "\n");
writeFileSync(`${folder}/phrase`, phrase + "\n");

// Under the same secret no two are alike.
out.salted = !same(await w.wrap(w.PHRASE, secrets[w.PHRASE], key), await w.wrap(w.PHRASE, secrets[w.PHRASE], key));

// Each octet counts.
const small = await w.wrap(w.PHRASE, secrets[w.PHRASE], key.slice(0, 40));
out.changed = 0;
for (let i = 0; i < small.length; i++) {
  const envelope = small.slice();
  envelope[i] ^= 1;
  if ((await said(w.unwrap(secrets[w.PHRASE], envelope))).startsWith("Error: ")) out.changed++;
}
out.size = small.length;
out.none = [];
for (const octets of [new Uint8Array(0), small.slice(0, 54), small.slice(1), new Uint8Array(2 * 1024 * 1024)])
  out.none.push(await said(w.unwrap(secrets[w.PHRASE], octets)));
const later = small.slice();
later[4] = 2;
out.none.push(await said(w.unwrap(secrets[w.PHRASE], later)));
out.large = await said(w.wrap(w.PHRASE, secrets[w.PHRASE], new Uint8Array(1024 * 1024 + 1)));

// BIP-39's published vectors of 128 bits (trezor/python-mnemonic, MIT), and what people type.
const vectors = {
  "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about": "00".repeat(16),
  "legal winner thank year wave sausage worth useful legal winner thank yellow": "7f".repeat(16),
  "letter advice cage absurd amount doctor acoustic avoid letter advice cage above": "80".repeat(16),
  "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong": "ff".repeat(16),
};
out.vectors = Object.entries(vectors).every(([words, entropy]) =>
  hex(p.readPhrase(words)) === entropy && p.makePhrase(() => Buffer.from(entropy, "hex")) === words &&
  hex(p.readPhrase(`\n  ${words.toUpperCase().replaceAll(" ", "\t \r\n")} `)) === entropy);
const about = Object.keys(vectors)[0];
out.phrases = [about.replace("about", "abandon"), about.replace("about", "aboutt"), about + " about", "",
  "legal winner thank year wave sausage worth useful legal winner yellow thank"].map((t) => of(() => p.readPhrase(t)));

const signing = p.signInKey(secrets[w.PHRASE]);
out.signIn = same(signing.publicKey, p.signInKey(p.readPhrase(phrase)).publicKey) &&
  !same(signing.publicKey, p.signInKey(secrets[w.PASSWORD]).publicKey) && signing.secretKey.length === 32;
console.log(JSON.stringify(out));
