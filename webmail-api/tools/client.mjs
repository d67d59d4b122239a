#!/usr/bin/env node
// client.mjs URL COMMAND ...: an account over HTTP (docs/api.md). Passwords and phrases are read from standard input, a
// line each, and leave this program in no form that opens anything. The session's token is kept in a file.
import { readFile, rm, writeFile } from "node:fs/promises";
import process from "node:process";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import * as account from "../web/session/account.mjs";
import { PhraseError } from "../web/session/phrase.mjs";
import { WrapError } from "../web/session/wrap.mjs";
import { codeOf, keepApp } from "./totp.mjs";

const USAGE = `usage: client.mjs URL COMMAND, the commands being
  register ADDRESS --invite TOKEN [--key FILE]   line: the password; prints the recovery phrase
  login ADDRESS [SECOND] [--label TEXT] [--key FILE]
                                                 line: the password; FILE gets the private key
  recover ADDRESS [SECOND]                       lines: the recovery phrase, a new password
  password ADDRESS [SECOND]                      lines: the password, a new one
  sessions [--end NUMBER | --end-all]
  factors [--end NUMBER]
  app [--label TEXT] [--app FILE]                an authenticator app: prints its URI; line: a code of it
  codes                                          prints recovery codes, instead of those that there are
  app-passwords [--label TEXT --scope WORD,... | --end NUMBER]
  logout
SECOND: --totp CODE, --code CODE of those on paper, or --app FILE, as app has kept it: this program is the app.
All: --session FILE, where the token is kept. A server's own certificate: NODE_EXTRA_CA_CERTS=FILE.
`;
const OPTIONS = Object.fromEntries(["session", "invite", "key", "totp", "code", "app", "label", "scope", "end"]
  .map((name) => [name, { type: "string" }]));

class Failure extends Error {}

// Its first lines; none of them may be missing.
async function lines(...names) {
  if (process.stdin.isTTY) process.stderr.write(`Lines that are wanted: ${names.join(", ")}\n`);
  const said = (await text(process.stdin)).split("\n");
  const missing = names.findIndex((_, i) => !said[i]);
  if (missing >= 0) throw new Failure(`${names[missing]} is wanted on standard input`);
  return said.slice(0, names.length);
}

async function besides({ totp, code, app, label }) {
  const all = { totp: app ? await codeOf(app) : totp, code, label };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

const say = (what) => process.stdout.write(JSON.stringify(what, null, 1) + "\n");

// What is listed, or the end of one.
async function list(base, options, path) {
  const call = await within(base, options.session);
  if (options.end) await call("DELETE", `${path}/${encodeURIComponent(options.end)}`);
  else say(await call("GET", path));
}

async function keep(file, session) {
  if (file) await writeFile(file, session.token + "\n", { mode: 0o600 });
  process.stdout.write(JSON.stringify({ accountId: session.accountId, expires: session.expires }) + "\n");
}

async function within(base, file) {
  if (!file) throw new Failure("--session FILE is wanted");
  return account.connect(base, { token: (await readFile(file, "utf8")).trim() });
}

async function login(base, address, password, options) {
  const session = await account.login(account.connect(base), { address, password, ...await besides(options) });
  if (!session) throw new Failure("this did not sign anybody in");
  return session;
}

const COMMANDS = {
  async register(base, options, address) {
    const [password] = await lines("the password");
    const privateKey = options.key && new Uint8Array(await readFile(options.key));
    const { phrase } = await account.register(account.connect(base),
      { address, invite: options.invite ?? "", password, privateKey });
    process.stdout.write(phrase + "\n");
  },
  async login(base, options, address) {
    const [password] = await lines("the password");
    const session = await login(base, address, password, options);
    if (options.key) {
      const has = await account.connect(base, session)("GET", "/api/v1/wrapped");
      const key = await account.privateKey(has, "password", session.exportKey);
      if (!key) throw new Failure("there is no wrapped key");
      await writeFile(options.key, key, { mode: 0o600 });
    }
    await keep(options.session, session);
  },
  async recover(base, options, address) {
    const [phrase, password] = await lines("the recovery phrase", "the new password");
    const session = await account.loginByPhrase(account.connect(base), { address, phrase, ...await besides(options) });
    await keep(options.session, await account.recover(account.connect(base, session), phrase, password));
  },
  async password(base, options, address) {
    const [now, then] = await lines("the password", "the new password");
    const session = await login(base, address, now, options);
    const call = account.connect(base, session);
    await keep(options.session, await account.changePassword(call, session.exportKey, then));
  },
  async sessions(base, options) {
    if (options["end-all"]) await (await within(base, options.session))("DELETE", "/api/v1/sessions");
    else await list(base, options, "/api/v1/sessions");
  },
  async factors(base, options) {
    await list(base, options, "/api/v1/factors");
  },
  async app(base, options) {
    await account.addApp(await within(base, options.session), options.label, async (uri) => {
      if (options.app) {
        await keepApp(options.app, uri);
        return codeOf(options.app);
      }
      process.stdout.write(uri + "\n");
      return (await lines("a code of the app"))[0];
    });
  },
  async codes(base, options) {
    const codes = await account.addCodes(await within(base, options.session));
    process.stdout.write(codes.join("\n") + "\n");
  },
  async "app-passwords"(base, options) {
    if (options.label === undefined) {
      await list(base, options, "/api/v1/app-passwords");
    } else {
      const scope = (options.scope ?? "imap,pop3,smtp").split(",");
      const call = await within(base, options.session);
      process.stdout.write(await account.addAppPassword(call, options.label, scope) + "\n");
    }
  },
  async logout(base, options) {
    await (await within(base, options.session))("DELETE", "/api/v1/sessions/current");
    await rm(options.session);
  },
};

async function main(args) {
  const { values, positionals } = parseArgs({ args, allowPositionals: true,
    options: { ...OPTIONS, "end-all": { type: "boolean" }, help: { type: "boolean" } } });
  const [base, name, ...rest] = positionals;
  const command = Object.hasOwn(COMMANDS, name ?? "") ? COMMANDS[name] : null;
  if (values.help || !command || rest.length !== command.length - 2) {
    (values.help ? process.stdout : process.stderr).write(USAGE);
    return values.help ? 0 : 2;
  }
  await command(base, values, ...rest);
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (e) {
  const usage = String(e.code).startsWith("ERR_PARSE_ARGS");
  if (!(usage || e.code || [Failure, account.ApiError, WrapError, PhraseError].some((kind) => e instanceof kind))) {
    if (!e.cause?.code) throw e;
    e.message += `: ${e.cause.message}`;
  }
  process.stderr.write(`client.mjs: ${e.message}\n`);
  process.exitCode = usage ? 2 : 1;
}
