// make_certs.mjs OPENPGPJS OUT.h CORPUS: makes the certificates that tests/unit/crypto judges (judge_certs.h) and the
// seeds of the fuzzer pgp_judge, with OpenPGP.js (LGPL-3.0; what it makes is nobody's work). Run once; keys and salts
// are random, so the outcome differs each time:
//   node tests/interop/make_certs.mjs "$(tests/interop/fetch_openpgpjs)" tests/support/judge_certs.h \
//     tests/fuzz/corpus/pgp_judge
import { writeFileSync, mkdirSync } from "node:fs";

const [module, header, corpus] = process.argv.slice(2);
const openpgp = await import(module);
const date = new Date("2024-01-01T00:00:00Z"), later = new Date("2025-01-01T00:00:00Z");
const user = { name: "Ada", email: "ada@example.org" };
const year = 365 * 86400;

async function make(version, options) {
  const config = { v6Keys: version === 6, aeadProtect: version === 6, minRSABits: 2047 };
  const { privateKey } = await openpgp.generateKey({ userIDs: [user], date, format: "object", config, ...options });
  return privateKey;
}

async function revoked(key, flag) {
  const { publicKey } = await openpgp.revokeKey({ key, date: later, reasonForRevocation: { flag }, format: "object" });
  return publicKey;
}

async function withSubkey(key, options) {
  return key.addSubkey({ date: later, config: { v6Keys: key.keyPacket.version === 6 }, ...options });
}

async function subkeyRevoked(key, which) {
  const k = key.toPublic();
  k.subkeys[which] = await k.subkeys[which].revoke(key.keyPacket, { flag: 0 }, later);
  return k;
}

const r = openpgp.enums.reasonForRevocation;
const certs = {
  v6_25519: await make(6, { type: "curve25519" }),
  v6_448: await make(6, { type: "curve448" }),
  v6_p256: await make(6, { type: "ecc", curve: "nistP256" }),
  v6_p521: await make(6, { type: "ecc", curve: "nistP521" }),
  v6_rsa: await make(6, { type: "rsa", rsaBits: 2048 }),
  v6_expiring: await make(6, { type: "curve25519", keyExpirationTime: year }),
  v6_revoked: await revoked(await make(6, { type: "curve25519" }), r.keyCompromised),
  v6_retired: await revoked(await make(6, { type: "curve25519" }), r.keyRetired),
  v6_subkey_revoked: await subkeyRevoked(await make(6, { type: "curve25519" }), 0),
  v6_two_subkeys: await withSubkey(await make(6, { type: "curve25519" }), { type: "curve448" }),
  v6_signing_subkey: await make(6, { type: "curve25519", subkeys: [{ sign: true }, {}] }),
  v6_signing_only: await make(6, { type: "curve25519", subkeys: [] }),
  v6_user_ids: await make(6, { type: "curve25519",
    userIDs: [user, { email: "second@example.org" }, { name: "Third" }] }),
  v4_25519: await make(4, { type: "curve25519" }),
  v4_448: await make(4, { type: "curve448" }),
  v4_legacy: await make(4, { type: "ecc", curve: "curve25519Legacy" }),
  v4_expiring: await make(4, { type: "curve25519", keyExpirationTime: year }),
  v4_revoked: await revoked(await make(4, { type: "curve25519" }), r.noReason),
};
certs.v6_new_after_revoked = await (async () => {
  const key = await withSubkey(await make(6, { type: "curve25519" }), { type: "curve25519" });
  return subkeyRevoked(key, 1);
})();
certs.v4_legacy_x25519 = await withSubkey(await make(4, { type: "ecc", curve: "curve25519Legacy", subkeys: [] }),
  { type: "curve25519" });
certs.v4_rsa_x25519 = await withSubkey(await make(4, { type: "rsa", rsaBits: 2048 }), { type: "curve25519" });

let text = "/* Certificates made by OpenPGP.js with tests/interop/make_certs.mjs. " +
  "Dates: 2024-01-01, additions 2025-01-01. */\n";
text += "#ifndef TESTS_SUPPORT_JUDGE_CERTS_H\n#define TESTS_CRYPTO_JUDGE_CERTS_H\n\n";
text += "#define BEGIN_CERT \"-----BEGIN PGP PUBLIC KEY BLOCK-----\\n\\n\"\n";
text += "#define END_CERT \"-----END PGP PUBLIC KEY BLOCK-----\\n\"\n";
mkdirSync(corpus, { recursive: true });
for (const [name, key] of Object.entries(certs)) {
  const bytes = Buffer.from((key.isPrivate() ? key.toPublic() : key).write());
  const lines = bytes.toString("base64").match(/.{1,100}/g);
  text += `\nstatic const char cert_${name}[] = BEGIN_CERT\n` +
    `${lines.map((l) => `    "${l}\\n"`).join("\n")}\n    END_CERT;\n`;
  writeFileSync(`${corpus}/${name}`, bytes);
}
writeFileSync(header, text + "\n#endif\n");
