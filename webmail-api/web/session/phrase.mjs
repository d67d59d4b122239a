// A recovery phrase: 128 random bits as twelve words with a checksum (BIP-39's English list), to be written on paper.
// It opens a wrapped key (wrap.mjs) and signs its owner in without the password.
import { ed25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { randomBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { entropyToMnemonic, mnemonicToEntropy } from "@scure/bip39";
import { wordlist } from "@scure/bip39/wordlists/english.js";

const WORDS = 12, SECRET = 16, SEED = 32;
const known = new Set(wordlist);

export class PhraseError extends Error {}

export function makePhrase(random = randomBytes) {
  return entropyToMnemonic(random(SECRET), wordlist);
}

// The secret of a phrase as people type it: in any case, with any white space. Throws PhraseError, which says what is
// wrong and never repeats a word of it.
export function readPhrase(text) {
  const words = text.normalize("NFKD").trim().toLowerCase().split(/\s+/);
  if (words.length !== WORDS) throw new PhraseError(`a phrase has ${WORDS} words, and this has ${words.length}`);
  const at = words.findIndex((word) => !known.has(word));
  if (at >= 0) throw new PhraseError(`word ${at + 1} is not in the list`);
  try {
    return mnemonicToEntropy(words.join(" "), wordlist);
  } catch {
    throw new PhraseError("these words do not belong together: is one of them another, or out of order?");
  }
}

// The Ed25519 key that signs in, and approves certificates, from a phrase's secret or OPAQUE's export key.
export function signInKey(secret) {
  const secretKey = hkdf(sha512, secret, new Uint8Array(0), utf8ToBytes("Letterlock sign-in key"), SEED);
  return { secretKey, publicKey: ed25519.getPublicKey(secretKey) };
}
