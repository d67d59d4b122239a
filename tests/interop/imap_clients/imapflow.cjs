// imapflow through one session; test_imap_libraries.py says what each line it prints must hold.
const { createRequire } = require('module');
const fs = require('fs');
const { ImapFlow } = createRequire(process.env.MODULES + '/')('imapflow');
const say = (step, value) => fs.writeSync(1, JSON.stringify({ step, value }) + '\n');
const BOX = 'Projects/Größe & Co';

function shape(node) {
    return node.childNodes ? [node.type, node.childNodes.map(shape)] : [node.type, []];
}

async function rows(client, range, query) {
    const all = [];
    for await (const m of client.fetch(range, query, { uid: true })) all.push(m);
    return all;
}

async function reads(client) {
    say('exists', client.mailbox.exists);
    say('all', await client.search({ uid: '1:*' }, { uid: true }));
    say('past', await client.search({ uid: `${client.mailbox.uidNext}:*` }, { uid: true }));
    say('unseen', await client.search({ seen: false }, { uid: true }));
    const items = ['uid', 'envelope', 'bodyStructure', 'flags', 'internalDate', 'size', 'source'];
    say('mails', (await rows(client, '1:*', Object.fromEntries(items.map(i => [i, true])))).map(m => ({
        uid: m.uid, subject: m.envelope.subject, from: m.envelope.from[0].address, id: m.envelope.messageId,
        size: m.size, flags: [...m.flags], source: m.source.toString('base64'), shape: shape(m.bodyStructure),
    })));
    say('part', (await client.download('1', '1', { uid: true })).meta.contentType);
}

async function idles(client) {
    const arrived = new Promise(done => client.once('exists', done));
    const idling = client.idle();
    setTimeout(() => say('idle', 1), 500);
    say('arrived', (await arrived).count);
    await client.noop();
    await idling;
}

async function another(client) {
    const list = async () => (await client.list()).map(b => b.path);
    await client.mailboxCreate('R&D');
    await client.mailboxSubscribe('R&D');
    await client.mailboxOpen('INBOX');
    await client.messageCopy('1', 'R&D', { uid: true });
    say('more', await list());
    await client.mailboxDelete('R&D');
    await client.mailboxUnsubscribe('R&D');
    say('fewer', await list());
}

async function main() {
    const client = new ImapFlow({
        host: 'localhost', port: +process.env.IMAPS, secure: true, logger: false, qresync: true,
        auth: { user: process.env.WHO, pass: process.env.PASS }, tls: { ca: fs.readFileSync(process.env.CA) },
    });
    await client.connect();
    await client.mailboxCreate(BOX);
    say('boxes', (await client.list({ statusQuery: { messages: true } })).map(b => b.path));
    const lock = await client.getMailboxLock('INBOX');
    await reads(client);
    const date = new Date(process.env.DATE);
    await client.append('INBOX', fs.readFileSync(process.env.DRAFT), ['\\Seen', '$Label1'], date);
    await client.messageFlagsAdd('1', ['$Forwarded', 'Custom-Word', '\\Flagged'], { uid: true });
    await client.messageFlagsRemove('1', ['Custom-Word'], { uid: true });
    const moved = await client.messageMove('2', BOX, { uid: true });
    say('moved', moved.uidMap.has(2));
    await idles(client);
    await client.messageDelete('4', { uid: true });
    say('after', await client.search({ uid: '1:*' }, { uid: true }));
    say('keyword', await client.search({ keyword: '$Forwarded' }, { uid: true }));
    lock.release();
    const status = await client.status(BOX, { messages: true, uidNext: true, unseen: true });
    say('status', [status.messages, status.uidNext, status.unseen]);
    await another(client);
    await client.logout();
    say('end', 1);
}
main().catch(e => { console.error(e); process.exit(1); });
