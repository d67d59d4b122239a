// What imapflow and node-imap do with an account: lists, puts a message in, polls as they do, changes flags, moves.
// Arguments: which, port, user, password, chain. Prints one JSON object.
import { createRequire } from 'node:module';
import fs from 'node:fs';

const [which, modules, port, user, pass, chain] = process.argv.slice(2);
const require = createRequire(modules + '/');
const tls = { ca: fs.readFileSync(chain), servername: 'letterlock.test', checkServerIdentity: () => undefined };
const mail = Buffer.from('From: a@example.org\r\nSubject: put in\r\nMessage-ID: <put@example.org>\r\n\r\nText.\r\n');

async function imapflow() {
    const { ImapFlow } = require('imapflow');
    const c = new ImapFlow({ host: '127.0.0.1', port: +port, secure: true, auth: { user, pass }, tls, logger: false });
    await c.connect();
    const out = { boxes: (await c.list({ statusQuery: { messages: true } })).map(b => b.path) };
    await c.mailboxCreate('Old/flow');
    const put = await c.append('Old/flow', mail, ['\\Seen', '$Label1'], new Date(Date.UTC(1969, 6, 20)));
    const lock = await c.getMailboxLock('Old/flow');
    out.found = await c.search({ uid: '1:*' }, { uid: true });
    out.put = put.uid;
    out.all = [];
    const wanted = { uid: true, flags: true, envelope: true, bodyStructure: true, source: true, internalDate: true };
    for await (const m of c.fetch('1:*', wanted))
        out.all.push([m.uid, [...m.flags].sort(), m.bodyStructure.type, m.source.length > 500, m.internalDate]);
    await c.messageFlagsAdd({ uid: '1:*' }, ['\\Flagged'], { uid: true });
    out.flagged = await c.search({ flagged: true });
    out.status = await c.status('Old/flow', { messages: true, uidNext: true, unseen: true });
    out.moved = !!(await c.messageMove('1:*', 'Archive'));
    await c.noop();
    lock.release();
    await c.mailboxDelete('Old/flow');
    await c.mailboxSubscribe('Old');
    await c.mailboxUnsubscribe('Old');
    await c.logout();
    return out;
}

function nodeImap() {
    const Imap = require('imap');
    const c = new Imap({ user, password: pass, host: '127.0.0.1', port: +port, tls: true, tlsOptions: tls });
    const ask = (f, ...a) => new Promise((ok, no) => c[f](...a, (err, v) => err ? no(err) : ok(v)));
    return new Promise((done, failed) => {
        c.once('error', failed);
        c.once('ready', async () => {
            try {
                const out = { boxes: Object.keys(await ask('getBoxes')) };
                await ask('addBox', 'node');
                await ask('append', mail, { mailbox: 'node', flags: ['Seen'], date: new Date(Date.UTC(2001, 0, 1)) });
                await ask('openBox', 'node', false);
                out.found = await ask('search', ['ALL', ['UID', '1:*']]);
                await ask('addFlags', out.found, 'Flagged');
                await ask('addKeywords', out.found, '$Later');
                out.later = await ask('search', [['KEYWORD', '$Later']]);
                out.all = await new Promise((ok, no) => {
                    const all = [], f = c.fetch(out.found, { bodies: '', struct: true });
                    f.on('message', m => m.on('attributes', a => all.push([a.uid, a.flags.sort(), a.struct[0].type])));
                    f.once('error', no);
                    f.once('end', () => ok(all));
                });
                await ask('copy', out.found, 'Archive');
                await ask('move', out.found, 'Archive');
                await ask('closeBox');
                await ask('delBox', 'node');
                c.end();
                done(out);
            } catch (e) { failed(e); }
        });
        c.connect();
    });
}

(which === 'imapflow' ? imapflow() : nodeImap()).then(
    out => { console.log(JSON.stringify(out)); process.exit(0); },
    e => { console.error(e, e.responseText || e.response || ''); process.exit(1); });
