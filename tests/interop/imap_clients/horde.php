<?php
// Horde_Imap_Client through one session; test_imap_libraries.py says what each line it prints must hold.
spl_autoload_register(function ($name) {
    @include '/usr/share/php/' . strtr($name, ['_' => '/', '\\' => '/']) . '.php';
});
error_reporting(E_ALL & ~E_DEPRECATED);
const BOX = 'Projects/Größe & Co';

function say($step, $value)
{
    echo json_encode(['step' => $step, 'value' => $value]), "\n";
}

function boxes($client)
{
    return array_map('strval', $client->listMailboxes('*', Horde_Imap_Client::MBOX_ALL, ['flat' => true]));
}

function shape($part)
{
    return [$part->getType(), array_map('shape', array_values($part->getParts()))];
}

function found($client, $query)
{
    return $client->search('INBOX', $query)['match']->ids;
}

function uids($which)
{
    $query = new Horde_Imap_Client_Search_Query();
    $query->ids(new Horde_Imap_Client_Ids($which));
    return $query;
}

function mails($client)
{
    $query = new Horde_Imap_Client_Fetch_Query();
    $query->envelope();
    $query->structure();
    $query->flags();
    $query->imapDate();
    $query->size();
    $query->uid();
    $query->fullText(['peek' => true]);
    $rows = [];
    foreach ($client->fetch('INBOX', $query) as $m) {
        $e = $m->getEnvelope();
        $rows[] = ['uid' => $m->getUid(), 'subject' => $e->subject, 'from' => $e->from->first()->bare_address,
            'id' => $e->message_id, 'size' => $m->getSize(), 'flags' => $m->getFlags(),
            'source' => base64_encode($m->getFullMsg()), 'shape' => shape($m->getStructure())];
    }
    return $rows;
}

$client = new Horde_Imap_Client_Socket([
    'username' => getenv('WHO'), 'password' => getenv('PASS'), 'hostspec' => 'localhost', 'port' => getenv('IMAPS'),
    'secure' => 'ssl', 'context' => ['ssl' => ['cafile' => getenv('CA')]],
]);
$client->login();
$client->createMailbox(BOX);
say('boxes', boxes($client));
$client->openMailbox('INBOX', Horde_Imap_Client::OPEN_READWRITE);
$status = $client->status('INBOX', Horde_Imap_Client::STATUS_MESSAGES | Horde_Imap_Client::STATUS_UIDNEXT
    | Horde_Imap_Client::STATUS_HIGHESTMODSEQ);
say('exists', $status['messages']);
say('all', found($client, uids(Horde_Imap_Client_Ids::ALL)));
say('past', found($client, uids(Horde_Imap_Client_Ids::LARGEST)));
$unseen = new Horde_Imap_Client_Search_Query();
$unseen->flag(Horde_Imap_Client::FLAG_SEEN, false);
say('unseen', found($client, $unseen));
say('mails', mails($client));
$one = new Horde_Imap_Client_Ids(1);
$client->append('INBOX', [['data' => file_get_contents(getenv('DRAFT')), 'flags' => ['\\Seen', '$Label1'],
    'internaldate' => new Horde_Imap_Client_DateTime(getenv('DATE'))]]);
$client->store('INBOX', ['add' => ['$Forwarded', 'Custom-Word', '\\Flagged'], 'ids' => $one]);
$client->store('INBOX', ['remove' => ['Custom-Word'], 'ids' => $one]);
$moved = $client->copy('INBOX', BOX, ['ids' => new Horde_Imap_Client_Ids(2), 'move' => true, 'force_map' => true]);
say('moved', isset($moved[2]));
say('idle', 1);  // it has no IDLE; it asks until the mail is there
for ($n = 0; $n < 100; $n++) {
    $asked = Horde_Imap_Client::STATUS_MESSAGES | Horde_Imap_Client::STATUS_FORCE_REFRESH;
    $there = $client->status('INBOX', $asked)['messages'];
    if ($there > 2) {
        break;
    }
    usleep(100000);
}
say('arrived', $there);
$client->store('INBOX', ['add' => ['\\Deleted'], 'ids' => new Horde_Imap_Client_Ids(4)]);
$client->expunge('INBOX', ['ids' => new Horde_Imap_Client_Ids(4)]);
say('after', found($client, uids(Horde_Imap_Client_Ids::ALL)));
$keyword = new Horde_Imap_Client_Search_Query();
$keyword->flag('$Forwarded');
say('keyword', found($client, $keyword));
$status = $client->status(BOX, Horde_Imap_Client::STATUS_MESSAGES | Horde_Imap_Client::STATUS_UIDNEXT
    | Horde_Imap_Client::STATUS_UNSEEN);
say('status', [$status['messages'], $status['uidnext'], $status['unseen']]);
$client->createMailbox('R&D');
$client->subscribeMailbox('R&D', true);
$client->copy('INBOX', 'R&D', ['ids' => $one]);
say('more', boxes($client));
$client->deleteMailbox('R&D');
$client->subscribeMailbox('R&D', false);
say('fewer', boxes($client));
$client->logout();
say('end', 1);
