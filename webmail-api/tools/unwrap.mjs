#!/usr/bin/env node
// unwrap.mjs FILE: opens a wrapped private key (docs/wrapped-keys.md) without any server. The twelve words of the
// recovery phrase are read from standard input, or for a key wrapped under a password or a passkey its secret in
// hexadecimal; the key comes out on standard output, as OpenPGP packets that gpg --import takes.
import { readFile } from "node:fs/promises";
import process from "node:process";
import { text } from "node:stream/consumers";
import { PhraseError, readPhrase } from "../web/session/phrase.mjs";
import { PHRASE, WrapError, kindOf, unwrap } from "../web/session/wrap.mjs";

const USAGE = "usage: unwrap.mjs FILE <PHRASE >KEY";
const LARGEST = 4 * 1024 * 1024; // octets of a file

// As the server gives it: the octets, or base64url of them.
function envelopeOf(octets) {
  const said = octets.toString("latin1").trim();
  return new Uint8Array(/^[A-Za-z0-9_-]+$/.test(said) ? Buffer.from(said, "base64url") : octets);
}

function secretOf(kind, said) {
  if (kind === PHRASE) return readPhrase(said);
  if (!/^([0-9a-f]{2})+$/i.test(said.trim())) throw new WrapError("its secret is wanted, in hexadecimal");
  return new Uint8Array(Buffer.from(said.trim(), "hex"));
}

async function main(args) {
  if (args.length !== 1 || args[0] === "--help") {
    (args[0] === "--help" ? process.stdout : process.stderr).write(USAGE + "\n");
    return args[0] === "--help" ? 0 : 2;
  }
  const octets = await readFile(args[0]);
  if (octets.length > LARGEST) throw new WrapError("this is no wrapped key");
  const envelope = envelopeOf(octets);
  const kind = kindOf(envelope);
  if (process.stdin.isTTY) process.stderr.write(kind === PHRASE ? "The twelve words: " : "The secret: ");
  process.stdout.write(await unwrap(secretOf(kind, await text(process.stdin)), envelope));
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (e) {
  if (!(e instanceof WrapError || e instanceof PhraseError || e.code)) throw e;
  process.stderr.write(`unwrap.mjs: ${e.message}\n`);
  process.exitCode = 1;
}
