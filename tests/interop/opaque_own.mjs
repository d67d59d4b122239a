// opaque_own.mjs WEB SERENITY TOOL: our own client half of OPAQUE (WEB/session) beside RFC 9807's first vector, our
// server's half (opaque_tool) and both halves of @serenity-kit/opaque. Prints a JSON object; the test judges it.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [, , web, serenity, toolPath] = process.argv;
const own = await import(pathToFileURL(`${web}/session/opaque.mjs`));
const { stretching } = await import(pathToFileURL(`${web}/session/profiles.mjs`));
const theirs = await import(pathToFileURL(`${serenity}/esm/index.js`));
await theirs.ready;

const hex = (octets) => Buffer.from(octets).toString("hex");
const unhex = (text) => new Uint8Array(Buffer.from(text, "hex"));
const b64 = (octets) => Buffer.from(octets).toString("base64url");
const unb64 = (text) => new Uint8Array(Buffer.from(text, "base64url"));
const out = {};

// ---- appendix C.1.1 ----

// A blind is what the generator gave, plus one: the vector's has to come out.
function blindOf(scalar) {
  const octets = unhex(scalar);
  let at = 0;
  while (octets[at]-- === 0) at++;
  return Uint8Array.of(...octets, ...new Uint8Array(16));
}
function given(...values) {
  return (n) => {
    const octets = values.shift();
    if (octets.length !== n) throw new Error(`${n} octets are wanted`);
    return octets;
  };
}
const identity = async (octets) => octets;
const password = "CorrectHorseBatteryStaple";
const registration = own.startRegistration(password,
  given(blindOf("76cfbfe758db884bebb33582331ba9f159720ca8784a2a070a265d9c2d6abe01")));
const registered = await own.finishRegistration(registration.state,
  unhex("7408a268083e03abc7097fc05b587834539065e86fb0c7b6342fcf5e01e5b019" +
    "b2fe7af9f48cc502d016729d2fe25cdd433f2c4bc904660b2a382c9b79df1a78"), identity,
  given(unhex("ac13171b2f17bc2c74997f0fce1e1f35bec6b91fe2e12dbd323d23ba7a38dfec")));
const login = own.startLogin(password,
  given(blindOf("6ecc102d2e7a7cf49617aad7bbe188556792d4acd60a1a8a8d2b65d4b0790308"),
    unhex("da7e07376d6d6f034cfa9bb537d11b8c6b4238c334333d1f0aebb380cae6a6cc"),
    unhex("82850a697b42a505f5b68fcdafce8c31f0af2b581f063cf1091933541936304b")));
const ke2 = unhex("7e308140890bcde30cbcea28b01ea1ecfbd077cff62c4def8efa075aabcbb471" +
  "38fe59af0df2c79f57b8780278f5ae47355fe1f817119041951c80f612fdfc6d" +
  "d6ec60bcdb26dc455ddf3e718f1020490c192d70dfc7e403981179d8073d1146" +
  "a4f9aa1ced4e4cd984c657eb3b54ced3848326f70331953d91b02535af44d9fe" +
  "dc80188ca46743c52786e0382f95ad85c08f6afcd1ccfbff95e2bdeb015b166c" +
  "6b20b92f832cc6df01e0b86a7efd92c1c804ff865781fa93f2f20b446c8371b6" +
  "71cd9960ecef2fe0d0f7494986fa3d8b2bb01963537e60efb13981e138e3d4a1" +
  "c4f62198a9d6fa9170c42c3c71f1971b29eb1d5d0bd733e40816c91f7912cc4a" +
  "660c48dae03e57aaa38f3d0cffcfc21852ebc8b405d15bd6744945ba1a93438a" +
  "162b6111699d98a16bb55b7bdddfe0fc5608b23da246e7bd73b47369169c5c90");
const context = new TextEncoder().encode("OPAQUE-POC");
const done = await own.finishLogin(login.state, ke2, identity, context);
out.vector = {
  request: hex(registration.request), record: hex(registered.record), export: hex(registered.exportKey),
  ke1: hex(login.ke1), ke3: hex(done.ke3), session: hex(done.sessionKey), again: hex(done.exportKey),
};

// Each octet of KE2 that is another ends it: by null, or as no element.
out.changed = 0;
for (let i = 0; i < ke2.length; i++) {
  const other = ke2.slice();
  other[i] ^= 1;
  try {
    if ((await own.finishLogin(login.state, other, identity, context)) === null) out.changed++;
  } catch {
    out.changed++;
  }
}
out.cut = [];
for (const octets of [ke2.slice(1), new Uint8Array(0), new Uint8Array([...ke2, 0])])
  out.cut.push(await own.finishLogin(login.state, octets, identity, context).then(() => "taken", (e) => e.name));

// ---- with our server's half ----

const tool = spawn(toolPath, { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: tool.stdout })[Symbol.asyncIterator]();
async function ask(...words) {
  tool.stdin.write(words.join(" ") + "\n");
  return (await lines.next()).value;
}
const stretch = stretching(1);
const starting = own.startRegistration("pass word \u00e9");
const response = unb64(await ask("register", "7", b64(starting.request)));
const made = await own.finishRegistration(starting.state, response, stretch);
async function signIn(text, record) {
  const { ke1, state } = own.startLogin(text);
  const got = await own.finishLogin(state, unb64(await ask("login", "7", record, b64(ke1))), stretch);
  return got && { same: (await ask("finish", b64(got.ke3))) === b64(got.sessionKey),
    key: hex(got.exportKey) === hex(made.exportKey), server: hex(got.serverPublicKey) === hex(made.serverPublicKey) };
}
out.ours = [await signIn("pass word \u00e9", b64(made.record)), await signIn("pass word e", b64(made.record)),
  await signIn("pass word \u00e9", "none")];

// ---- with the other's halves ----

const client = theirs.client.startLogin({ password: "pass word \u00e9" });
const theirDone = theirs.client.finishLogin({
  clientLoginState: client.clientLoginState, password: "pass word \u00e9",
  loginResponse: await ask("login", "7", b64(made.record), client.startLoginRequest),
  keyStretching: { "argon2id-custom": { iterations: 3, memory: 65536, parallelism: 1 } },
});
out.theirClient = theirDone.exportKey === b64(made.exportKey);

const serverSetup = theirs.server.createSetup();
const userIdentifier = "8";
const started = own.startRegistration("secret");
const { registrationResponse } = theirs.server.createRegistrationResponse({
  serverSetup, userIdentifier, registrationRequest: b64(started.request) });
const there = await own.finishRegistration(started.state, unb64(registrationResponse), stretch);
const mine = own.startLogin("secret");
const { loginResponse, serverLoginState } = theirs.server.startLogin({
  serverSetup, userIdentifier, registrationRecord: b64(there.record), startLoginRequest: b64(mine.ke1) });
const there2 = await own.finishLogin(mine.state, unb64(loginResponse), stretch);
const { sessionKey } = theirs.server.finishLogin({ finishLoginRequest: b64(there2.ke3), serverLoginState });
out.theirServer = sessionKey === b64(there2.sessionKey) && hex(there2.exportKey) === hex(there.exportKey);

out.profiles = [0, 2, -1, "1", undefined].map((n) => {
  try {
    return typeof stretching(n);
  } catch (e) {
    return e.name;
  }
});
console.log(JSON.stringify(out));
tool.stdin.end();
