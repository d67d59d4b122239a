// The private key as the server keeps it: wrapped under a secret that the server never has (docs/wrapped-keys.md). The
// secret is OPAQUE's export key, a recovery phrase, or what a passkey gives (PRF).
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concatBytes, randomBytes, utf8ToBytes } from "@noble/hashes/utils.js";

const MAGIC = utf8ToBytes("LLWK");
const VERSION = 1;
const SALT = 32, TAG = 16; // octets
const HEAD = MAGIC.length + 2 + SALT;
const LARGEST = 1024 * 1024;

// What wraps, and how many octets of secret it has.
export const PASSWORD = 1, PHRASE = 2, PASSKEY = 3;
const SECRETS = new Map([[PASSWORD, 64], [PHRASE, 16], [PASSKEY, 32]]);

export class WrapError extends Error {}

// A key is used once, since its salt is: the nonce may be constant.
async function cipher(kind, secret, salt, use) {
  if (secret.length !== SECRETS.get(kind)) throw new WrapError("the secret has another length");
  const info = concatBytes(utf8ToBytes("Letterlock wrapped key"), Uint8Array.of(kind));
  const octets = hkdf(sha512, secret, salt, info, 32);
  const key = await crypto.subtle.importKey("raw", octets, "AES-GCM", false, [use]);
  octets.fill(0);
  return key;
}

const parameters = (head) => ({ name: "AES-GCM", iv: new Uint8Array(12), additionalData: head, tagLength: 8 * TAG });

// privateKey: octets, 1 MB at most; gives those of the envelope. random: for tests.
export async function wrap(kind, secret, privateKey, random = randomBytes) {
  if (privateKey.length === 0 || privateKey.length > LARGEST) throw new WrapError("no key, or too large a one");
  const salt = random(SALT);
  const head = concatBytes(MAGIC, Uint8Array.of(VERSION, kind), salt);
  const key = await cipher(kind, secret, salt, "encrypt");
  return concatBytes(head, new Uint8Array(await crypto.subtle.encrypt(parameters(head), key, privateKey)));
}

// Which of the kinds an envelope is of. Throws WrapError: none, or of a later version.
export function kindOf(envelope) {
  const fits = envelope.length > HEAD + TAG && envelope.length <= HEAD + LARGEST + TAG;
  if (!fits || MAGIC.some((octet, i) => envelope[i] !== octet))
    throw new WrapError("this is no wrapped key");
  if (envelope[MAGIC.length] !== VERSION) throw new WrapError("this key was wrapped by a later version");
  if (!SECRETS.has(envelope[MAGIC.length + 1])) throw new WrapError("this is no wrapped key");
  return envelope[MAGIC.length + 1];
}

// The private key's octets. Throws WrapError: another secret, or the envelope was changed.
export async function unwrap(secret, envelope) {
  const kind = kindOf(envelope);
  const head = envelope.slice(0, HEAD);
  const key = await cipher(kind, secret, head.slice(-SALT), "decrypt");
  try {
    return new Uint8Array(await crypto.subtle.decrypt(parameters(head), key, envelope.slice(HEAD)));
  } catch {
    throw new WrapError("this does not open the key, or the wrapped key was changed");
  }
}
