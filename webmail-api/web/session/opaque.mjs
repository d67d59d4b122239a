// OPAQUE (RFC 9807), the client's half: the password stays here, and what comes out is a session key that the server
// has too, and an export key that it never has. The suite is crypto/opaque.h's; identities and context are empty.
//
// stretch: what makes guessing dear (profiles.mjs), octets to a promise of octets. random: so many octets, for tests.
import { ristretto255, ristretto255_oprf } from "@noble/curves/ed25519.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concatBytes, randomBytes, utf8ToBytes } from "@noble/hashes/utils.js";

const { oprf } = ristretto255_oprf;
const { Point } = ristretto255;
const NOTHING = new Uint8Array(0);
const ELEMENT = 32, NONCE = 32, MAC = 64, HASH = 64, SEED = 32; // octets
const MASKED = ELEMENT + NONCE + MAC;
const RESPONSE = [ELEMENT, ELEMENT];
const KE2 = [ELEMENT, NONCE, MASKED, NONCE, ELEMENT, MAC];

const counted = (octets) => concatBytes(Uint8Array.of(octets.length >> 8, octets.length & 0xff), octets);
const mac = (key, ...parts) => hmac(sha512, key, concatBytes(...parts));
const derive = (key, label, length, nonce = NOTHING) =>
  expand(sha512, key, concatBytes(nonce, utf8ToBytes(label)), length);
const multiply = (element, secret) => Point.fromBytes(element).multiply(Point.Fn.fromBytes(secret)).toBytes();

function equal(a, b) {
  let differs = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) differs |= a[i] ^ b[i];
  return differs === 0;
}

// The octets in pieces of these lengths. Throws if they are not as many.
function cut(octets, lengths) {
  let at = 0;
  const pieces = lengths.map((n) => octets.slice(at, (at += n)));
  if (octets.length !== at) throw new RangeError("a message of OPAQUE has another length");
  return pieces;
}

const keyPair = (seed) => oprf.deriveKeyPair(seed, utf8ToBytes("OPAQUE-DeriveDiffieHellmanKeyPair"));

// ---- what the password gives (sections 4.1 and 6.3.2) ----

async function open(state, evaluated, stretch) {
  const output = oprf.finalize(state.password, state.blind, evaluated);
  const password = extract(sha512, concatBytes(output, await stretch(output)), NOTHING);
  return { password, maskingKey: derive(password, "MaskingKey", HASH) };
}

function envelope(password, nonce, serverPublicKey) {
  const { secretKey, publicKey } = keyPair(derive(password, "PrivateKey", SEED, nonce));
  const names = [serverPublicKey, counted(serverPublicKey), counted(publicKey)];
  return {
    secretKey,
    publicKey,
    tag: mac(derive(password, "AuthKey", HASH, nonce), nonce, ...names),
    exportKey: derive(password, "ExportKey", HASH, nonce),
  };
}

// ---- registration ----

export function startRegistration(password, random = randomBytes) {
  const { blind, blinded } = oprf.blind(utf8ToBytes(password), random);
  return { request: blinded, state: { password: utf8ToBytes(password), blind } };
}

export async function finishRegistration(state, response, stretch, random = randomBytes) {
  const [evaluated, serverPublicKey] = cut(response, RESPONSE);
  const { password, maskingKey } = await open(state, evaluated, stretch);
  const nonce = random(NONCE);
  const { publicKey, tag, exportKey } = envelope(password, nonce, serverPublicKey);
  return { record: concatBytes(publicKey, maskingKey, nonce, tag), exportKey, serverPublicKey };
}

// ---- signing in ----

export function startLogin(password, random = randomBytes) {
  const { blind, blinded } = oprf.blind(utf8ToBytes(password), random);
  const nonce = random(NONCE);
  const share = keyPair(random(SEED));
  const ke1 = concatBytes(blinded, nonce, share.publicKey);
  return { ke1, state: { password: utf8ToBytes(password), blind, ke1, share: share.secretKey } };
}

// Section 6.4.2.1.
function deriveSecret(secret, label, transcript) {
  const name = utf8ToBytes("OPAQUE-" + label);
  const info = concatBytes(Uint8Array.of(0, HASH, name.length), name, Uint8Array.of(transcript.length), transcript);
  return expand(sha512, secret, info, HASH);
}

// null: another password, or another server.
function recover(password, maskingKey, nonce, masked) {
  const pad = derive(maskingKey, "CredentialResponsePad", MASKED, nonce);
  const [serverPublicKey, envelopeNonce, tag] = cut(masked.map((octet, i) => octet ^ pad[i]), [ELEMENT, NONCE, MAC]);
  const made = envelope(password, envelopeNonce, serverPublicKey);
  return equal(made.tag, tag) ? { ...made, serverPublicKey } : null;
}

// null likewise. Throws where ke2 is none at all. context: the RFC's vectors have one.
export async function finishLogin(state, ke2, stretch, context = NOTHING) {
  const [evaluated, maskingNonce, masked, , serverShare, serverMac] = cut(ke2, KE2);
  const { password, maskingKey } = await open(state, evaluated, stretch);
  const own = recover(password, maskingKey, maskingNonce, masked);
  if (!own) return null;
  const said = concatBytes(utf8ToBytes("OPAQUEv1-"), counted(context), counted(own.publicKey), state.ke1,
    counted(own.serverPublicKey), ke2.slice(0, -MAC));
  const products = [multiply(serverShare, state.share), multiply(own.serverPublicKey, state.share),
    multiply(serverShare, own.secretKey)];
  const prk = extract(sha512, concatBytes(...products), NOTHING);
  const handshake = deriveSecret(prk, "HandshakeSecret", sha512(said));
  if (!equal(mac(deriveSecret(handshake, "ServerMAC", NOTHING), sha512(said)), serverMac)) return null;
  return {
    ke3: mac(deriveSecret(handshake, "ClientMAC", NOTHING), sha512(concatBytes(said, serverMac))),
    sessionKey: deriveSecret(prk, "SessionKey", sha512(said)),
    exportKey: own.exportKey,
    serverPublicKey: own.serverPublicKey,
  };
}
