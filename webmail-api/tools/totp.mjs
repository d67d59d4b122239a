// An authenticator app (RFC 6238) whose secret is in a file: its URI, and the step whose code was given out last.
import { createHmac } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";

const SECONDS = 30, DIGITS = 6;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

const write = (file, uri, last) => writeFile(file, `${uri}\n${last}\n`, { mode: 0o600 });
export const keepApp = (file, uri) => write(file, uri, 0);

function secretOf(uri) {
  const bits = Array.from(new URL(uri).searchParams.get("secret"),
    (c) => BASE32.indexOf(c).toString(2).padStart(5, "0")).join("");
  return Buffer.from(bits.match(/.{8}/g).map((octet) => parseInt(octet, 2)));
}

// RFC 4226 section 5.3.
function code(secret, step) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", secret).update(counter).digest();
  const number = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff;
  return String(number % 10 ** DIGITS).padStart(DIGITS, "0");
}

// One that was not given out before: servers take each once, and the next one a little early.
export async function codeOf(file) {
  const [uri, last] = (await readFile(file, "utf8")).split("\n");
  const now = Math.floor(Date.now() / 1000 / SECONDS);
  const step = Math.max(now, Number(last) + 1);
  if (step > now + 1) await setTimeout((step - 1) * SECONDS * 1000 - Date.now());
  await write(file, uri, step);
  return code(secretOf(uri), step);
}
