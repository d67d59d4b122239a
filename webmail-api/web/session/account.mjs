// An account over HTTP (docs/api.md): registering a password, signing in and out, another password, recovery. Secrets
// stay here: the server gets OPAQUE's messages, public keys, signatures, and what is wrapped.
//
// call: what asks the server, of connect() or a stand-in: (method, path, body) to a promise of the answer's object.
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { fromBase64url, toBase64url } from "./base64url.mjs";
import { finishLogin, finishRegistration, startLogin, startRegistration } from "./opaque.mjs";
import { makePhrase, readPhrase, signInKey } from "./phrase.mjs";
import { stretching } from "./profiles.mjs";
import { PASSWORD, PHRASE, unwrap, wrap } from "./wrap.mjs";

// What the server says of a failure: type is the word behind "urn:letterlock:error:".
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `the server answered with ${status}`);
    this.status = status;
    this.type = (problem.type ?? "").replace("urn:letterlock:error:", "");
  }
}

// token: of a session; without one a browser's cookie says whose it is.
export function connect(base, { token, fetch = globalThis.fetch } = {}) {
  return async (method, path, body) => {
    const headers = { "Letterlock-CSRF": "1" };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body) headers["Content-Type"] = "application/json";
    const said = await fetch(new URL(path, base), { method, headers, body: body && JSON.stringify(body) });
    const json = /json/.test(said.headers.get("Content-Type") ?? "") ? await said.json() : {};
    if (!said.ok) throw new ApiError(said.status, json);
    return json;
  };
}

// ---- signatures (store/signin.h) ----

// In so many octets, big-endian.
const number = (n, octets) =>
  Uint8Array.from({ length: octets }, (_, i) => Number(BigInt(n) >> BigInt(8 * (octets - 1 - i)) & 255n));
const NOBODY = new Uint8Array(32);

// What the owner signs when the record changes. has: of GET /api/v1/wrapped; fresh: of makeRecord.
export function recordText(has, fresh) {
  const digest = (envelope) => sha256(envelope ?? new Uint8Array(0));
  return concatBytes(utf8ToBytes("Letterlock sign-in v1"), fromBase64url(has.store), number(has.accountId, 8),
    number(has.serial, 4), Uint8Array.of(1), fresh.record, Uint8Array.of(fresh.profile), fresh.keys.password,
    fresh.keys.phrase ?? NOBODY, digest(fresh.wrapped.password), digest(fresh.wrapped.phrase));
}

const encoded = (octets) => Object.fromEntries(
  Object.entries(octets).filter(([, value]) => value).map(([name, value]) => [name, toBase64url(value)]));

const sent = (fresh) => ({ record: toBase64url(fresh.record), profile: fresh.profile, keys: encoded(fresh.keys),
  wrapped: encoded(fresh.wrapped) });

// ---- a password is registered ----

// question: {address, invite}, or nothing with a session. phrase: its secret, or nothing; phraseKey: the public key of
// one that stays.
async function makeRecord(call, question, password, { privateKey, phrase, phraseKey }) {
  const { request, state } = startRegistration(password);
  const told = await call("POST", "/api/v1/opaque/register/start", { ...question, request: toBase64url(request) });
  const made = await finishRegistration(state, fromBase64url(told.response), stretching(told.profile));
  return {
    record: made.record,
    profile: told.profile,
    keys: { password: signInKey(made.exportKey).publicKey, phrase: phrase ? signInKey(phrase).publicKey : phraseKey },
    wrapped: {
      password: privateKey && await wrap(PASSWORD, made.exportKey, privateKey),
      phrase: privateKey && phrase && await wrap(PHRASE, phrase, privateKey),
    },
  };
}

// The first password of an account, or instead of one that is lost, by an invitation. Gives the recovery phrase, which
// nobody else has: it is to be written down.
export async function register(call, { address, invite, password, privateKey }) {
  const phrase = makePhrase();
  const fresh = await makeRecord(call, { address, invite }, password, { privateKey, phrase: readPhrase(phrase) });
  await call("POST", "/api/v1/opaque/register/finish", { address, invite, ...sent(fresh) });
  return { phrase };
}

// ---- signing in ----

// null: another password, or nobody has that address. besides: {totp, code, label, cookie}.
export async function login(call, { address, password, ...besides }) {
  const { ke1, state } = startLogin(password);
  const told = await call("POST", "/api/v1/opaque/login/start", { address, ke1: toBase64url(ke1) });
  const made = await finishLogin(state, fromBase64url(told.ke2), stretching(told.profile));
  if (!made) return null;
  const session = await call("POST", "/api/v1/opaque/login/finish",
    { id: told.id, ke3: toBase64url(made.ke3), ...besides });
  return { ...session, exportKey: made.exportKey };
}

export async function loginByPhrase(call, { address, phrase, ...besides }) {
  const { secretKey } = signInKey(readPhrase(phrase));
  const told = await call("POST", "/api/v1/phrase/start", { address });
  const text = concatBytes(utf8ToBytes("Letterlock phrase v1"), fromBase64url(told.challenge));
  return call("POST", "/api/v1/phrase/finish",
    { id: told.id, signature: toBase64url(ed25519.sign(text, secretKey)), ...besides });
}

// ---- what a session is for ----

// The private key's octets, by OPAQUE's export key or a phrase's secret; null: there is none.
export async function privateKey(has, kind, secret) {
  const found = has.wrapped.find((one) => one.kind === kind);
  return found ? unwrap(secret, fromBase64url(found.envelope)) : null;
}

async function replace(call, has, secretKey, by, fresh) {
  const signature = ed25519.sign(recordText(has, fresh), secretKey);
  return call("POST", "/api/v1/password",
    { ...sent(fresh), serial: has.serial, by, signature: toBase64url(signature) });
}

// Another password; every session is over, and the answer has a new one. exportKey: of login.
export async function changePassword(call, exportKey, password) {
  const has = await call("GET", "/api/v1/wrapped");
  const fresh = await makeRecord(call, {}, password, {
    privateKey: await privateKey(has, "password", exportKey),
    phraseKey: has.keys.phrase && fromBase64url(has.keys.phrase),
  });
  return replace(call, has, signInKey(exportKey).secretKey, "password", fresh);
}

// The same by the recovery phrase, in a session that it began.
export async function recover(call, phrase, password) {
  const secret = readPhrase(phrase);
  const has = await call("GET", "/api/v1/wrapped");
  const fresh = await makeRecord(call, {}, password, { privateKey: await privateKey(has, "phrase", secret),
    phrase: secret });
  return replace(call, has, signInKey(secret).secretKey, "phrase", fresh);
}

// ---- second factors, and passwords for mail programs ----

// codeOf: of the app that has this otpauth URI. Nothing is asked for until the server has seen a code.
export async function addApp(call, label, codeOf) {
  const { id, uri } = await call("POST", "/api/v1/factors/totp/start");
  return call("POST", "/api/v1/factors/totp/finish", { id, totp: await codeOf(uri), ...label && { label } });
}

// Shown once; those of before are over.
export async function addCodes(call) {
  return (await call("POST", "/api/v1/factors/codes")).codes;
}

export async function addAppPassword(call, label, scope) {
  return (await call("POST", "/api/v1/app-passwords", { label, scope })).password;
}
