// webauthn_browser.mjs PLAYWRIGHT WEB TOOL CHROMIUM CERTIFICATE KEY: our page's half of WebAuthn in Chromium with its
// virtual authenticators, beside our server's half (webauthn_tool). Every octet that the pages send after TLS is kept.
// Prints a JSON object; the test judges it.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:https";
import { createInterface } from "node:readline";

const [, , playwright, web, toolFile, executablePath, cert, key] = process.argv;
const { chromium } = createRequire(import.meta.url)(playwright);

// ---- a web server that keeps what it is sent ----

let recorded = [];
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
  const file = { "/passkey.mjs": "session/passkey.mjs" }[request.url];
  if (file) return response.writeHead(200, { "Content-Type": "text/javascript" }).end(readFileSync(`${web}/${file}`));
  response.writeHead(200, { "Content-Type": "text/html" }).end("<!DOCTYPE html><title>passkeys</title>");
});
server.on("secureConnection", (socket) => socket.on("data", (octets) => recorded.push(octets)));
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `https://localhost:${server.address().port}`;

const tool = spawn(toolFile, ["localhost", origin], { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: tool.stdout })[Symbol.asyncIterator]();
const ask = async (line) => {
  tool.stdin.write(line + "\n");
  return (await lines.next()).value;
};
await lines.next(); // ready

// ---- the browser ----

const browser = await chromium.launch({
  executablePath, args: ["--no-sandbox", "--ignore-certificate-errors", "--disable-gpu", "--disable-dev-shm-usage"],
  timeout: 240000,
});
const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
page.setDefaultTimeout(240000);
await page.goto(origin + "/");
const cdp = await page.context().newCDPSession(page);
await cdp.send("WebAuthn.enable");

// In the page: the secret comes back here by the browser's own channel, and not by HTTP.
const run = (name, options, whole) => page.evaluate(async ([name, options, whole]) => {
  const passkey = await import("/passkey.mjs");
  let credential;
  for (const of of ["create", "get"]) {
    const real = CredentialsContainer.prototype[of];
    navigator.credentials[of] = async (o) => (credential = await real.call(navigator.credentials, o));
  }
  const made = await passkey[name](options);
  const body = JSON.stringify(whole ? credential.toJSON() : made.sent);
  await fetch("/" + name, { method: "POST", body, headers: { "Content-Type": "application/json" } });
  const hex = (a) => a && Array.from(a, (o) => o.toString(16).padStart(2, "0")).join("");
  return { body, secret: hex(made.secret), hasSecret: made.hasSecret };
}, [name, JSON.parse(options), whole]);

const forms = (secret) => {
  const octets = Buffer.from(secret, "hex");
  return [octets, ...["hex", "base64", "base64url"].map((form) => Buffer.from(octets.toString(form)))];
};
const isIn = (secret) => forms(secret).some((form) => Buffer.concat(recorded).includes(form));

async function ceremonies(settings, verify) {
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", ctap2Version: "ctap2_1", transport: "internal", hasResidentKey: true, hasPrf: true,
      hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true, ...settings } });
  recorded = [];
  const out = {};
  const made = await run("makePasskey", await ask("creation " + verify), false);
  out.made = await ask("made " + made.body);
  out.again = await ask("made " + made.body); // its challenge was answered
  out.hasSecret = made.hasSecret;
  const first = await run("usePasskey", await ask("request " + verify), false);
  out.used = await ask("used " + first.body);
  const second = await run("usePasskey", await ask("request " + verify), false);
  out.usedAgain = await ask("used " + second.body);
  out.replayed = await ask("used " + second.body);
  out.secret = first.secret?.length ?? 0;
  out.sameSecret = first.secret === second.secret && (!made.secret || made.secret === first.secret);
  out.requests = ["POST /makePasskey", "POST /usePasskey"].map((line) => Buffer.concat(recorded).includes(line));
  if (first.secret) {
    out.sentSecret = isIn(first.secret);
    // The same, sent whole.
    const whole = await run("usePasskey", await ask("request " + verify), true);
    out.wholeHasSecret = isIn(first.secret);
    out.whole = await ask("used " + whole.body);
  }
  await cdp.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId });
  return out;
}

const out = {
  platform: await ceremonies({}, "yes"),
  // Without PIN or finger, and without room for keys of its own.
  usb: await ceremonies({ transport: "usb", hasPrf: false, hasResidentKey: false, hasUserVerification: false,
    isUserVerified: false }, "no"),
};

// A page of another origin has the same words for it.
const other = await page.context().newPage();
await other.goto(origin.replace("localhost", "127.0.0.1") + "/");
out.address = await other.evaluate(async ([options]) => {
  const passkey = await import("/passkey.mjs");
  return passkey.makePasskey(options).then(() => "made", (e) => e.name);
}, [JSON.parse(await ask("creation no"))]);

await browser.close();
server.closeAllConnections();
server.close();
tool.stdin.end();
console.log(JSON.stringify(out));
