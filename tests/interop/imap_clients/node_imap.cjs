// node-imap (imap at npm, and the fork that has its name) through one session; test_imap_libraries.py says what each
// line it prints must hold.
const { createRequire } = require('module');
const fs = require('fs');
const Imap = createRequire(process.env.MODULES + '/')(process.argv[2]);
const say = (step, value) => fs.writeSync(1, JSON.stringify({ step, value }) + '\n');
const BOX = 'Projects/Größe & Co';
const imap = new Imap({
    user: process.env.WHO, password: process.env.PASS, host: 'localhost', port: +process.env.IMAPS, tls: true,
    tlsOptions: { ca: fs.readFileSync(process.env.CA), servername: 'localhost' },
});
const call = (name, ...args) => new Promise((done, fail) => imap[name](...args, (e, r) => e ? fail(e) : done(r)));

function shape([own, ...parts]) {  // a multipart is called by its subtype alone
    return [own.partID ? `${own.type}/${own.subtype}` : `multipart/${own.type}`, parts.map(shape)];
}

function rows(range) {
    return new Promise((done, fail) => {
        const all = [];
        const fetch = imap.fetch(range, { bodies: '', struct: true, envelope: true, size: true });
        fetch.on('message', message => {
            const mail = { source: Buffer.alloc(0) };
            message.on('body', stream => stream.on('data', d => { mail.source = Buffer.concat([mail.source, d]); }));
            message.once('attributes', a => { mail.a = a; });
            message.once('end', () => all.push(mail));
        });
        fetch.once('error', fail);
        fetch.once('end', () => done(all));
    });
}

async function reads(box) {
    say('exists', box.messages.total);
    say('all', await call('search', [['UID', '1:*']]));
    say('past', await call('search', [['UID', `${box.uidnext}:*`]]));
    say('unseen', await call('search', ['UNSEEN']));
    say('mails', (await rows('1:*')).map(({ a, source }) => ({
        uid: a.uid, subject: a.envelope.subject, from: `${a.envelope.from[0].mailbox}@${a.envelope.from[0].host}`,
        id: a.envelope.messageId, size: a.size, flags: a.flags, source: source.toString('base64'),
        shape: shape(a.struct),
    })));
}

async function another() {
    await call('addBox', 'R&D');
    await call('subscribeBox', 'R&D');
    await call('copy', '1', 'R&D');
    say('more', names(await call('getBoxes')));
    await call('delBox', 'R&D');
    await call('unsubscribeBox', 'R&D');
    say('fewer', names(await call('getBoxes')));
}

async function main() {
    await call('addBox', BOX);
    say('boxes', names(await call('getBoxes')));
    await reads(await call('openBox', 'INBOX', false));
    const date = process.argv[2] === 'imap' ? new Date(process.env.DATE) : undefined;  // the fork throws on any
    await call('append', fs.readFileSync(process.env.DRAFT), { mailbox: 'INBOX', flags: ['Seen'], date });
    await call('addKeywords', '3', ['$Label1']);
    await call('addKeywords', '1', ['$Forwarded', 'Custom-Word']);
    await call('addFlags', '1', ['\\Flagged']);
    await call('delKeywords', '1', ['Custom-Word']);
    await call('move', '2', BOX);
    say('moved', true);
    const before = new Promise(done => imap.once('mail', done));
    setTimeout(() => say('idle', 1), 1000);
    await before;
    say('arrived', imap._box.messages.total);
    await call('addFlags', '4', ['\\Deleted']);
    await call('expunge', '4');
    say('after', await call('search', [['UID', '1:*']]));
    say('keyword', await call('search', [['KEYWORD', '$Forwarded']]));
    const status = await call('status', BOX);
    say('status', [status.messages.total, status.uidnext, status.messages.unseen]);
    await another();
    imap.once('close', () => say('end', 1));
    imap.end();
}

function names(tree, above = '') {
    return Object.entries(tree).flatMap(([name, box]) => [above + name, ...(box.children
        ? names(box.children, above + name + box.delimiter) : [])]);
}
imap.once('ready', () => main().catch(e => { console.error(e); process.exit(1); }));
imap.once('error', e => { console.error(e); process.exit(1); });
imap.connect();
