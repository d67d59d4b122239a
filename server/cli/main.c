/* The one binary: roles, re-executed by master, and the command line. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/role.h"
#include "server/cli/cli.h"

struct command {
    const char *name, *sub; /* sub NULL: no second word */
    int (*run)(struct cli *c);
    const char *operands; /* usage after the words */
    unsigned min, max;    /* operands */
    uint64_t options;     /* bits of enum cli_option */
    const char *help;
};

#define BIT(o) (UINT64_C(1) << (o))
_Static_assert(OPTIONS < '?', "getopt's word for an option that there is not, and so many bits");

static const struct command commands[] = {
    {"init", NULL, command_init,
     "--dir DIR --domain DOMAIN [--loopback BASE] [--store-key-file FILE | --passphrase-file FILE]", 0, 0,
     BIT(OPT_DOMAIN) | BIT(OPT_LOOPBACK) | BIT(OPT_STORE_KEY_FILE) | BIT(OPT_PASSPHRASE_FILE),
     "Make an instance: commented configuration, store, store key, self-signed certificate.\n"
     "Afterwards `letterlock serve` starts with nothing edited. --loopback BASE binds 127.0.0.1 on\n"
     "BASE + each service's usual port. The store key goes to a systemd credential if there is one,\n"
     "else to FILE (default: DIR.storekey, beside DIR and outside backups), or under a passphrase. An init\n"
     "that was cut short is taken up where it ended by running it again."},
    {"serve", NULL, command_serve, "--dir DIR", 0, 0, 0,
     "Serve in the foreground. Says `ready` on stderr when every listener answers; SIGTERM ends it\n"
     "cleanly, SIGHUP reads configuration and TLS files again."},
    {"account", "add", command_account_add,
     "ADDRESS (--key CERT.asc | --new-key SECRET.asc [--passphrase-file FILE]) [--policy P] [--quota BYTES]", 1, 1,
     BIT(OPT_KEY) | BIT(OPT_NEW_KEY) | BIT(OPT_PASSPHRASE_FILE) | BIT(OPT_POLICY) | BIT(OPT_QUOTA),
     "Add an account whose mail is sealed to the certificate in CERT.asc. --new-key makes a pair here,\n"
     "asks for a passphrase (or reads it from FILE; an empty file means none) and writes the secret key to\n"
     "SECRET.asc: meant for trials, since a reader's key belongs on the reader's machine.\n"
     "--policy: shy (default), baseline, hidden; with +display behind it the Subject is text inside too, for\n"
     "clients like Claws Mail that show no protected Subject. --quota: bytes, 0 for none."},
    {"account", "list", command_account_list, "", 0, 0, 0, "List accounts: address, messages, bytes."},
    {"account", "show", command_account_show, "ADDRESS", 1, 1, 0,
     "Show an account: addresses, keys, policy, quota, mailboxes."},
    {"account", "set", command_account_set,
     "ADDRESS [--policy P] [--quota BYTES] [--seal-v2 auto|never] [--encrypt never|opportunistic|always] "
     "[--publish yes|no] [--autocrypt yes|no] [--key-change-notices yes|no] "
     "[--forward TO|none [--forward-only] [--forward-own-keys]]",
     1, 1,
     BIT(OPT_POLICY) | BIT(OPT_QUOTA) | BIT(OPT_SEAL_V2) | BIT(OPT_ENCRYPT) | BIT(OPT_PUBLISH) | BIT(OPT_AUTOCRYPT) |
         BIT(OPT_KEY_CHANGES) | BIT(OPT_FORWARD) | BIT(OPT_FORWARD_ONLY) | BIT(OPT_FORWARD_OWN_KEYS),
     "Change an account's header policy (the help of account add lists them), quota, the format of its\n"
     "encrypted mail, whether what it sends is sealed, whether it can be found, or where its mail is forwarded.\n"
     "--seal-v2: auto (default) is SEIPD v2 where every current key asks for it; never is SEIPD v1, for a\n"
     "reader whose key asks for v2 but who reads mail with gpg or Thunderbird.\n"
     "--encrypt: never (default) sends mail as the client gave it; opportunistic seals it where the keys of\n"
     "all its recipients are known (those of accounts here, and what `discover` finds); always refuses a recipient\n"
     "whose key is not.\n"
     "--publish: whether others find the account's certificate by its addresses (publish_default).\n"
     "--autocrypt: whether what it sends brings that along, in a field Autocrypt (autocrypt_default).\n"
     "--key-change-notices: whether a sealed mail says so when another key of somebody it writes to was found\n"
     "(default: no; see letterlock correspondent list).\n"
     "--forward: what comes for the account goes to this address too, sealed where its key is known; elsewhere\n"
     "it would go in the clear, which the configuration must allow (forward_plaintext). --forward-only: no copy\n"
     "is kept. --forward-own-keys: sealed to the account's own keys, whoever it goes to."},
    {"account", "remove", command_account_remove, "ADDRESS", 1, 1, 0,
     "Remove an account, its addresses and all its mail."},
    {"account", "hold", command_account_hold, "ADDRESS", 1, 1, 0,
     "Let an account send nothing any more, nor what it has in the queue; it reads and receives as before. One that\n"
     "reaches a limit of the configuration (send_messages_day and its neighbours) is held by itself; account show\n"
     "and status say so."},
    {"account", "release", command_account_release, "ADDRESS", 1, 1, 0,
     "Let an account that is held send again, with what it has in the queue. What it has sent so far counts no more.\n"
     "Where a stranger had its app password, revoke that, and look through queue list, before."},
    {"alias", "add", command_alias_add, "ALIAS ADDRESS", 2, 2, 0,
     "Let mail for ALIAS reach ADDRESS. `@example.org` as ALIAS catches all of a domain."},
    {"alias", "list", command_alias_list, "", 0, 0, 0, "List aliases and catch-alls."},
    {"alias", "remove", command_alias_remove, "ALIAS", 1, 1, 0, "Remove an alias."},
    {"key", "add", command_key_add, "ADDRESS FILE", 2, 2, 0,
     "Add the certificate in FILE: new mail is sealed to all current certificates of the account. One that the\n"
     "account has already is renewed (a later expiry, a new encryption key). A revoked certificate of the\n"
     "account's own, or the revocation alone, ends that key as `key revoke` does."},
    {"key", "list", command_key_list, "ADDRESS [--json]", 1, 1, BIT(OPT_JSON),
     "List an account's certificates: state, fingerprint, algorithms of primary and encryption key, dates, what\n"
     "seals, how many stored messages are sealed to it and how many of these to no other key, user ids."},
    {"key", "show", command_key_show, "ADDRESS FPR [--json]", 2, 2, BIT(OPT_JSON),
     "Show one certificate, and the encryption keys that sealed before it was renewed."},
    {"key", "messages", command_key_messages, "ADDRESS FPR [--json]", 2, 2, BIT(OPT_JSON),
     "List the messages that are sealed to a certificate: mailbox, UIDVALIDITY, UID, with tabs between.\n"
     "The server holds no secret key, so moving mail to another key is its reader's client's work: FETCH each\n"
     "message with its FLAGS and INTERNALDATE, decrypt it, encrypt it to the new key, and REPLACE it (RFC 8508;\n"
     "or APPEND it with that date and those flags, then delete and expunge the old one)."},
    {"key", "current", command_key_current, "ADDRESS FPR", 2, 2, 0,
     "Seal to a retired certificate again. A revoked one is refused."},
    {"key", "approve", command_key_approve, "ADDRESS [--yes]", 1, 1, BIT(OPT_YES),
     "Sign an account's certificates as they stand, when the log says `keys-not-approved`: shows each, and asks.\n"
     "Its own address too, when the log says `address-not-approved`.\n"
     "Whoever has the secret key of a current one reads the account's mail from then on: compare every\n"
     "fingerprint with its reader first. --yes: it has been done."},
    {"key", "retire", command_key_retire, "ADDRESS FPR", 2, 2, 0,
     "Stop sealing to a certificate; it is kept to recognise old mail. Says how many messages still need it.\n"
     "The last current one is refused."},
    {"key", "revoke", command_key_revoke, "ADDRESS FILE", 2, 2, 0,
     "End a certificate for good by its owner's revocation in FILE: what GnuPG's gen-revoke makes, or the\n"
     "certificate exported with it. A forged one changes nothing. Even the last current key ends: senders then\n"
     "have to wait until another one is added."},
    {"key", "publish", command_key_publish, "[ADDRESS]", 0, 1, 0,
     "Bring what others find up to date: for the addresses of ADDRESS's account, or of all. Commands that change\n"
     "certificates, addresses or `account set --publish` do it by themselves; one that was cut short has not."},
    {"key", "log", command_key_log, "[--json]", 0, 0, BIT(OPT_JSON),
     "List every change of what is published, and verify that each follows from the one before: number, time,\n"
     "why (key, wish, address, mended, verified), address, SHA-256 of the certificate."},
    {"app-password", "add", command_app_password_add, "ADDRESS --label TEXT [--scope imap,pop3,smtp,jmap]", 1, 1,
     BIT(OPT_LABEL) | BIT(OPT_SCOPE),
     "Make an app password and print it, alone, on stdout. It is shown once and unrelated to any key.\n"
     "--scope: what it is good for (default: imap, pop3 and smtp)."},
    {"app-password", "list", command_app_password_list, "ADDRESS", 1, 1, 0,
     "List app passwords: number, label, scope, day of making."},
    {"app-password", "revoke", command_app_password_revoke, "ADDRESS NUMBER", 2, 2, 0, "Revoke an app password."},
    {"invite", "list", command_invite_list, "", 0, 0, 0, "List invitations that are open: address, last day."},
    {"invite", "revoke", command_invite_revoke, "ADDRESS", 1, 1, 0, "Take an account's invitation back."},
    {"invite", NULL, command_invite, "ADDRESS [--days N] [--reset]", 1, 1, BIT(OPT_DAYS) | BIT(OPT_RESET),
     "Let the owner of an account register a password: prints a token, alone, on stdout, which is good once, for\n"
     "N days (default: 7). It takes the place of an earlier one. --reset: also where a password is registered; keys\n"
     "that are wrapped under that one are lost then, and sessions end."},
    {"session", "list", command_session_list, "ADDRESS", 1, 1, 0,
     "List where an account is signed in over HTTP: number, name, days, how."},
    {"session", "end", command_session_end, "ADDRESS (NUMBER | --all)", 1, 2, BIT(OPT_ALL),
     "Sign an account out, at one place or everywhere."},
    {"factor", "list", command_factor_list, "ADDRESS", 1, 1, 0,
     "List an account's second factors: number, kind, name, day of making."},
    {"factor", "remove", command_factor_remove, "ADDRESS NUMBER", 2, 2, 0,
     "Remove a second factor that its owner has lost. Whoever knows the password signs in without it then: be sure\n"
     "that it is its owner who asks."},
    {"domain", "add", command_domain_add, "DOMAIN", 1, 1, 0,
     "Accept mail for a domain, and make keys that sign what is sent from it."},
    {"domain", "list", command_domain_list, "", 0, 0, 0, "List domains."},
    {"domain", "remove", command_domain_remove, "DOMAIN", 1, 1, 0,
     "Stop accepting mail for a domain (it must have no addresses), and erase its keys."},
    {"domain", "dns", command_domain_dns, "DOMAIN", 1, 1, 0,
     "Print the DNS records that the domain needs, as a zone file has them, and why: MX, SPF, DKIM, DMARC,\n"
     "reports on TLS, WKD, settings of mail clients, and of the server's own name TLSA and CAA."},
    {"domain", "report", command_domain_report, "DOMAIN [--month YYYY-MM] [--json]", 1, 1,
     BIT(OPT_MONTH) | BIT(OPT_JSON),
     "Show what others reported of mail in the domain's name (DMARC aggregate reports to dmarc-reports@DOMAIN): of\n"
     "each reporter how many messages passed and did not, and the networks from which most did not. By default of\n"
     "this month, by UTC. Only for reporters in the first part does DMARC vouch; anybody may send the others."},
    {"client-config", NULL, command_client_config, "ADDRESS [--form FORM]", 1, 1, BIT(OPT_FORM),
     "Print the settings that a mail client needs for ADDRESS, which most find by themselves from the server. FORM:\n"
     "text (the default), autoconfig (Thunderbird's and others'), autodiscover (Outlook's), mobileconfig (a profile\n"
     "that Apple's devices install), pacc (a newer one, of the whole domain)."},
    {"dkim", "list", command_dkim_list, "[DOMAIN] [--json]", 0, 1, BIT(OPT_JSON),
     "List the keys that sign mail from this server's domains (DKIM), and until when each does."},
    {"dkim", "show", command_dkim_show, "DOMAIN [--json]", 1, 1, BIT(OPT_JSON),
     "Print the DNS records of a domain's keys, as a zone file has them."},
    {"dkim", "rotate", command_dkim_rotate, "DOMAIN [--now]", 1, 1, BIT(OPT_NOW),
     "Make a domain's next keys and print their DNS records. They sign once dkim_publish_wait has passed (default:\n"
     "three days), and then the former ones end; their records are needed for a week more. --now: they sign at once,\n"
     "those that wait too. Keys that are over are erased."},
    {"store-key", "add", command_store_key_add,
     "(--store-key-file FILE | --credential-file FILE | --passphrase-file FILE)", 0, 0,
     BIT(OPT_STORE_KEY_FILE) | BIT(OPT_PASSPHRASE_FILE) | BIT(OPT_CREDENTIAL_FILE),
     "Add a slot that opens the store key: a new key file FILE, the bytes of FILE as systemd's credential\n"
     "letterlock-store-key will give them, or the passphrase in FILE."},
    {"store-key", "list", command_store_key_list, "", 0, 0, 0, "List the slots."},
    {"store-key", "remove", command_store_key_remove, "NUMBER", 1, 1, 0, "Remove a slot; the last one is refused."},
    {"store-key", "new-queue", command_store_key_new_queue, "", 0, 0, 0,
     "Make queue.key anew, where it is lost: what opens the store key opens it. The mail that waited to be sent is\n"
     "lost; queue list shows it still, and queue remove removes it."},
    {"queue", "list", command_queue_list, "[--json]", 0, 0, BIT(OPT_JSON),
     "List the mail that waits to be sent: who sent it, to whom, what came of each try."},
    {"queue", "show", command_queue_show, "ID [--json]", 1, 1, BIT(OPT_JSON), "Show one message of the queue."},
    {"queue", "retry", command_queue_retry, "ID... | --all", 0, CLI_ARGS_MAX, BIT(OPT_ALL),
     "Try again at once what waits for its next try."},
    {"queue", "flush", command_queue_flush, "[DOMAIN]", 0, 1, 0,
     "The same for all mail, or for recipients of DOMAIN: after an outage, say."},
    {"queue", "hold", command_queue_hold, "ID... | --all", 0, CLI_ARGS_MAX, BIT(OPT_ALL),
     "Keep mail in the queue until it is released."},
    {"queue", "release", command_queue_release, "ID... | --all", 0, CLI_ARGS_MAX, BIT(OPT_ALL),
     "Let mail that is held be sent, with all the time that it had at first."},
    {"queue", "remove", command_queue_remove, "ID... [--bounce]", 1, CLI_ARGS_MAX, BIT(OPT_BOUNCE),
     "Remove mail from the queue. Nobody is told, unless this option is given: then\n"
     "its sender is, as of mail that failed."},
    {"suppression", "list", command_suppression_list, "[--json]", 0, 0, BIT(OPT_JSON),
     "List addresses elsewhere of which their own servers have said that there are none such: for 30 days nothing is\n"
     "taken to be sent there."},
    {"suppression", "add", command_suppression_add, "ADDRESS", 1, 1, 0,
     "Take nothing to be sent to ADDRESS for 30 days."},
    {"suppression", "remove", command_suppression_remove, "ADDRESS", 1, 1, 0,
     "Let mail be sent to ADDRESS again: where its server was wrong, or it is there again."},
    {"correspondent", "list", command_correspondent_list, "ACCOUNT [--json]", 1, 1, BIT(OPT_JSON),
     "List whose keys an account has seen: of addresses that it writes to, and those that came with mail to it."},
    {"correspondent", "show", command_correspondent_show, "ACCOUNT ADDRESS [--json]", 2, 2, BIT(OPT_JSON),
     "Show the key of ADDRESS that the account uses, where it is from, and keys before; another one that was found\n"
     "and is not followed; and the one that came with mail."},
    {"correspondent", "accept", command_correspondent_accept, "ACCOUNT ADDRESS FPR", 3, 3, 0,
     "Have the account seal to this certificate of ADDRESS and to no other. Whoever has its secret key reads the\n"
     "account's mail to ADDRESS: compare the whole fingerprint with whom it is of first."},
    {"correspondent", "forget", command_correspondent_forget, "ACCOUNT ADDRESS", 2, 2, 0,
     "Forget the keys of ADDRESS: the next one that is found counts as the first."},
    {"acme", "run", command_acme_run, "[NAME...] [--server URL] [--now] [--exchange-key]", 0, CLI_ARGS_MAX,
     BIT(OPT_SERVER) | BIT(OPT_NOW) | BIT(OPT_EXCHANGE_KEY),
     "Get and renew certificates from an ACME server, by uacme, and reload: for the server's own name, and for each\n"
     "domain and its names that lead here (mta-sts., openpgpkey., autoconfig. and so on); or for each NAME. One is\n"
     "due when a third of its life is left. The server has to run, and to serve HTTP. Keys are kept.\n"
     "--server: its directory (default: Let's Encrypt's). --now: due or not.\n"
     "--exchange-key: make the next key. Where DNS names the former one (TLSA), the next one's record is printed; the\n"
     "same command takes the key once DNS has that, and nobody can know the answer without it any more."},
    {"acme", "hook", command_acme_hook, "EVENT TYPE NAME TOKEN AUTHORIZATION", 5, 5, 0,
     "Have the running server answer a challenge of ACME's, or no longer, as uacme calls its hook. EVENT: begin,\n"
     "done, failed. TYPE: http-01; others are declined."},
    {"status", NULL, command_status, "[--json]", 0, 0, BIT(OPT_JSON),
     "Say how the instance is: roles, counters, store, what to mind."},
    {"doctor", NULL, command_doctor, "DOMAIN [--json]", 1, 1, BIT(OPT_JSON),
     "Ask DNS and the network whether mail of DOMAIN gets out and in, line by line: what is right, what is wrong,\n"
     "what to do. DOMAIN is one of the server's, or its own name. Exit status 1 if anything fails."},
    {"discover", NULL, command_discover, "ADDRESS [--account ACCOUNT] [--json]", 1, 1, BIT(OPT_ACCOUNT) | BIT(OPT_JSON),
     "Look for the key of ADDRESS as mail to it would, and show each place that was asked: the account here, or its\n"
     "domain's Web Key Directory (WKD), DANE, the configured key server; what each has, which one counts, and how\n"
     "sure it is. Nothing is kept. Exit status 1 if none can be used.\n"
     "--account: also the key that ACCOUNT has seen of ADDRESS, and whether it is the same (correspondent show)."},
    {"reload", NULL, command_reload, "", 0, 0, 0, "Let the running server read configuration and TLS files again."},
    {"audit", NULL, command_audit, "[--canary FILE]", 0, 0, BIT(OPT_CANARY),
     "Read every page, record and message of the store and every byte of every file of the instance; report\n"
     "what was changed, what does not fit together, any message that does not pass the gate, and any place\n"
     "where a line of FILE occurs in the clear. While a server runs the pages of the store's file are left out."},
    {"backup", NULL, command_backup, "TARGET", 1, 1, 0,
     "Write a hot, compacted copy of the store and the configuration to the new folder TARGET. The store key\n"
     "is not in it: keep its slots (DIR/store.key, DIR/queue.key and what opens them) elsewhere, or nobody can\n"
     "restore it."},
    {"restore", NULL, command_restore, "SOURCE", 1, 1, 0,
     "Make the store of DIR from a backup, while no server runs on it. DIR must have its letterlock.conf and\n"
     "store.key and queue.key, and no store. Every mailbox gets a new UIDVALIDITY."},
    {"upgrade", NULL, command_upgrade, "[--backup TARGET | --no-backup]", 0, 0, BIT(OPT_BACKUP) | BIT(OPT_NO_BACKUP),
     "Bring a store that an older version made up to date, step by step, while no server runs. First it is\n"
     "copied to TARGET, as by `backup` (default: DIR.before-upgrade). One that was cut short goes on when it\n"
     "is run again, with --no-backup or another TARGET: the copy of the first time is there."},
    {"trace", NULL, command_trace, "ADDRESS [--with ADDRESS] [--since T] [--until T] [FILE|-]", 1, 2,
     BIT(OPT_WITH) | BIT(OPT_SINCE) | BIT(OPT_UNTIL),
     "Tell what became of the mail from or to ADDRESS, as the log in FILE (or on stdin) says: nobody else can read\n"
     "that there, since the log has keyed hashes for names. Mail that goes out has each try. ADDRESS may be an alias,\n"
     "`<>` for bounces, or `@domain` of senders, and of recipients elsewhere. --with: only mail between the two.\n"
     "T is UTC: 2026-11-29, 2026-11-29T14:00, \"2 hours ago\", 3d.\n"
     "journalctl -o cat -u letterlock | letterlock trace ann@example.org --with shop@example.net"},
    {"dmarc-report", NULL, command_dmarc_report, "FILE...", 1, CLI_ARGS_MAX, 0,
     "Say what another server's DMARC reports tell of mail in our domains' names (RFC 9990): its mails, or\n"
     "their attachments, FILE.xml, FILE.xml.gz or FILE.zip; - is stdin."},
    {"tls-report", NULL, command_tls_report, "FILE...", 1, CLI_ARGS_MAX, 0,
     "Say what another server's TLS reports tell (RFC 8460): the attachments of its mails, FILE.json or\n"
     "FILE.json.gz; - is stdin."},
    {"unseal", NULL, command_unseal, "", 0, 0, 0,
     "A decrypted message on stdin, the sender's original on stdout: undoes what sealing inserted."},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct option long_options[] = {{"dir", required_argument, NULL, 1000},
                                             {"help", no_argument, NULL, 1001},
                                             {"version", no_argument, NULL, 1002},
                                             {"domain", required_argument, NULL, OPT_DOMAIN},
                                             {"loopback", required_argument, NULL, OPT_LOOPBACK},
                                             {"key", required_argument, NULL, OPT_KEY},
                                             {"new-key", required_argument, NULL, OPT_NEW_KEY},
                                             {"passphrase-file", required_argument, NULL, OPT_PASSPHRASE_FILE},
                                             {"label", required_argument, NULL, OPT_LABEL},
                                             {"scope", required_argument, NULL, OPT_SCOPE},
                                             {"policy", required_argument, NULL, OPT_POLICY},
                                             {"quota", required_argument, NULL, OPT_QUOTA},
                                             {"seal-v2", required_argument, NULL, OPT_SEAL_V2},
                                             {"encrypt", required_argument, NULL, OPT_ENCRYPT},
                                             {"forward", required_argument, NULL, OPT_FORWARD},
                                             {"forward-only", no_argument, NULL, OPT_FORWARD_ONLY},
                                             {"forward-own-keys", no_argument, NULL, OPT_FORWARD_OWN_KEYS},
                                             {"publish", required_argument, NULL, OPT_PUBLISH},
                                             {"autocrypt", required_argument, NULL, OPT_AUTOCRYPT},
                                             {"key-change-notices", required_argument, NULL, OPT_KEY_CHANGES},
                                             {"json", no_argument, NULL, OPT_JSON},
                                             {"canary", required_argument, NULL, OPT_CANARY},
                                             {"store-key-file", required_argument, NULL, OPT_STORE_KEY_FILE},
                                             {"credential-file", required_argument, NULL, OPT_CREDENTIAL_FILE},
                                             {"since", required_argument, NULL, OPT_SINCE},
                                             {"until", required_argument, NULL, OPT_UNTIL},
                                             {"with", required_argument, NULL, OPT_WITH},
                                             {"backup", required_argument, NULL, OPT_BACKUP},
                                             {"no-backup", no_argument, NULL, OPT_NO_BACKUP},
                                             {"yes", no_argument, NULL, OPT_YES},
                                             {"all", no_argument, NULL, OPT_ALL},
                                             {"bounce", no_argument, NULL, OPT_BOUNCE},
                                             {"now", no_argument, NULL, OPT_NOW},
                                             {"server", required_argument, NULL, OPT_SERVER},
                                             {"exchange-key", no_argument, NULL, OPT_EXCHANGE_KEY},
                                             {"form", required_argument, NULL, OPT_FORM},
                                             {"account", required_argument, NULL, OPT_ACCOUNT},
                                             {"days", required_argument, NULL, OPT_DAYS},
                                             {"reset", no_argument, NULL, OPT_RESET},
                                             {"month", required_argument, NULL, OPT_MONTH},
                                             {NULL, 0, NULL, 0}};

static void print_synopsis(FILE *f, const char *before, const struct command *cmd)
{
    fprintf(f, "%s%s%s%s%s%s\n", before, cmd->name, cmd->sub ? " " : "", cmd->sub ? cmd->sub : "",
            *cmd->operands ? " " : "", cmd->operands);
}

static void print_usage(FILE *f)
{
    fputs("usage: letterlock COMMAND [--dir DIR] ...   (DIR may come from LETTERLOCK_DIR)\n\n", f);
    for (size_t i = 0; i < COMMANDS; i++)
        print_synopsis(f, "  ", &commands[i]);
    fputs("\n`letterlock COMMAND --help` says more; letterlock(1) and letterlock.conf(5) say the rest.\n", f);
}

static void print_help(const struct command *cmd)
{
    print_synopsis(stdout, "usage: letterlock ", cmd);
    printf("\n%s\n", cmd->help);
}

/* Finds the command and how many words it took; NULL: none. */
static const struct command *find_command(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, argv[1]))
            continue;
        if (!commands[i].sub) {
            *ret_words = 1;
            return &commands[i];
        }
        if (argc > 2 && !strcmp(commands[i].sub, argv[2])) {
            *ret_words = 2;
            return &commands[i];
        }
    }
    return NULL;
}

static int usage_error(const struct command *cmd)
{
    print_synopsis(stderr, "usage: letterlock ", cmd);
    return EXIT_USAGE;
}

static bool needs_no_instance(const struct command *cmd)
{
    return cmd->run == command_unseal || cmd->run == command_tls_report || cmd->run == command_dmarc_report;
}

static int run_command(const struct command *cmd, int words, int argc, char **argv)
{
    char name[64];
    struct cli c = {.dir = getenv("LETTERLOCK_DIR"), .command = name};
    snprintf(name, sizeof(name), "%s%s%s", cmd->name, cmd->sub ? " " : "", cmd->sub ? cmd->sub : "");
    int o;
    optind = 1 + words;
    while ((o = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (o == 1000) {
            c.dir = optarg;
        } else if (o == 1001 || o == 'h') {
            print_help(cmd);
            return EXIT_DONE;
        } else if (o >= 0 && o < OPTIONS && (cmd->options & BIT(o))) {
            c.opt[o] = optarg ? optarg : "";
        } else {
            if (o >= 0 && o < OPTIONS)
                cli_usage(&c, "this command has no such option");
            return usage_error(cmd);
        }
    }
    for (; optind < argc; optind++) {
        if (c.nargs >= cmd->max || c.nargs == CLI_ARGS_MAX)
            return usage_error(cmd);
        c.arg[c.nargs++] = argv[optind];
    }
    if (c.nargs < cmd->min)
        return usage_error(cmd);
    if ((!c.dir || !*c.dir) && !needs_no_instance(cmd))
        return cli_usage(&c, "which instance? Give --dir DIR or set LETTERLOCK_DIR");
    if (c.dir && strlen(c.dir) > CLI_DIR_MAX)
        return cli_fail(&c, "the path of DIR has more than %d bytes", CLI_DIR_MAX);
    int rc = cmd->run(&c);
    /* What was not read did not happen, for whoever waits for it. */
    if ((fflush(stdout) || ferror(stdout)) && !rc)
        rc = cli_fail(&c, "cannot write to stdout: %s", strerror(errno));
    return rc;
}

/* What master re-executes. Not a command: it needs the channel on descriptor 3. */
static int run_role(const char *name)
{
    static int (*const mains[ROLES])(void) = {
        [ROLE_INGEST] = ingest_main,       [ROLE_ACCESS] = access_main,     [ROLE_VAULT] = vault_main,
        [ROLE_GPG_JUDGE] = gpg_judge_main, [ROLE_GPG_SEAL] = gpg_seal_main, [ROLE_RESOLVER] = resolver_main,
        [ROLE_RELAY] = relay_main,         [ROLE_FETCHER] = fetcher_main,   [ROLE_WEB] = web_main,
    };
    for (int r = 0; r < ROLES; r++)
        if (mains[r] && !strcmp(name, role_name((enum role)r)))
            return mains[r]();
    fprintf(stderr, "letterlock: no role is called %s\n", name);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    /* A closed 0, 1 or 2 would be handed to the next file opened. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            return EXIT_REFUSED;
    if (argc == 2 && !strncmp(argv[1], "role:", 5))
        return run_role(argv[1] + 5);
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("letterlock " LETTERLOCK_VERSION);
        return EXIT_DONE;
    }
    int words = 0;
    const struct command *cmd = find_command(argc, argv, &words);
    if (cmd)
        return run_command(cmd, words, argc, argv);
    bool help = argc > 2 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h")), family = false;
    for (size_t i = 0; i < COMMANDS; i++)
        if (!strcmp(commands[i].name, argv[1])) {
            print_synopsis(help ? stdout : stderr, family ? "       letterlock " : "usage: letterlock ", &commands[i]);
            family = true;
        }
    if (family)
        return help ? EXIT_DONE : EXIT_USAGE;
    fprintf(stderr, "letterlock: no command is called %s; letterlock --help lists them\n", argv[1]);
    return EXIT_USAGE;
}
