// opaque_client.mjs MODULE TOOL: @serenity-kit/opaque signs up and in with opaque_tool. Prints a JSON object of what
// came out; the test judges it.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [, , module, toolPath] = process.argv;
const opaque = await import(pathToFileURL(`${module}/esm/index.js`));
await opaque.ready;

const tool = spawn(toolPath, { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: tool.stdout })[Symbol.asyncIterator]();
async function ask(...words) {
  tool.stdin.write(words.join(" ") + "\n");
  return (await lines.next()).value;
}

const profile = { "argon2id-custom": { iterations: 3, memory: 65536, parallelism: 1 } };
const cheap = { "argon2id-custom": { iterations: 1, memory: 64, parallelism: 1 } };

async function signUp(account, password, keyStretching) {
  const { clientRegistrationState, registrationRequest } = opaque.client.startRegistration({ password });
  const registrationResponse = await ask("register", account, registrationRequest);
  return opaque.client.finishRegistration({ clientRegistrationState, registrationResponse, password, keyStretching });
}

async function signIn(account, record, password, keyStretching) {
  const { clientLoginState, startLoginRequest } = opaque.client.startLogin({ password });
  const loginResponse = await ask("login", account, record, startLoginRequest);
  const done = opaque.client.finishLogin({ clientLoginState, loginResponse, password, keyStretching });
  if (!done) return null;
  return { ...done, serversKey: await ask("finish", done.finishLoginRequest) };
}

const out = { sizes: {}, keys: [] };
const made = await signUp("17", "correct horse", profile);
out.sizes.record = Buffer.from(made.registrationRecord, "base64url").length;
out.profile = await signIn("17", made.registrationRecord, "correct horse", profile);
out.export = made.exportKey;

const other = await signUp("18", "correct horse", cheap);
for (let i = 0; i < 50; i++) {
  const done = await signIn("18", other.registrationRecord, "correct horse", cheap);
  out.keys.push([done.sessionKey, done.serversKey, done.exportKey === other.exportKey]);
}
out.wrong = await signIn("18", other.registrationRecord, "correct horse.", cheap);
out.anothers = await signIn("17", other.registrationRecord, "correct horse", cheap); // another credential
out.cheaper = await signIn("17", made.registrationRecord, "correct horse", cheap); // another profile
out.nobody = await signIn("19", "none", "correct horse", cheap);
out.mixed = await ask("finish", out.profile.finishLoginRequest); // KE3 of another exchange
const odd = [
  ["login", "18", other.registrationRecord, "A".repeat(128)],
  ["register", "18", "A".repeat(43)],
  ["login", "18", other.registrationRecord, "AAAA"],
  ["finish", "AAAA"],
  ["nothing"],
];
out.odd = [];
for (const words of odd) out.odd.push(await ask(...words));
console.log(JSON.stringify(out));
tool.stdin.end();
