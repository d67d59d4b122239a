/* The items of the configuration, one row each, and what is right for a text. */
#include "server/base/config_impl.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/base/event.h"
#include "server/base/prefix.h"
#include "server/base/relay_policy.h"

static bool valid_domain(const char *s);
static bool valid_address(const char *s);
static bool valid_address_list(const char *s);
static bool valid_servers(const char *s);
static bool valid_stubs(const char *s);
static bool valid_prefixes(const char *s);
static bool valid_domains(const char *s);
static bool valid_networks(const char *s);
static bool valid_weighed_domains(const char *s);
static bool valid_path(const char *s);
static bool valid_path_or_none(const char *s);
static bool valid_source(const char *s);
static bool valid_smarthost(const char *s);
static bool valid_user(const char *s);
static bool valid_mailbox(const char *s);
static bool valid_level(const char *s);
static bool valid_policy(const char *s);
static bool valid_unavailable(const char *s);
static bool valid_sts_mode(const char *s);
static bool valid_sts_names(const char *s);
static bool valid_key_server(const char *s);
static bool valid_unanswered(const char *s);

#define WHERE(field) \
    .name = #field, .offset = offsetof(struct config, field), .size = sizeof(((struct config *)0)->field)
#define TEXT(field, kind_, text_, valid_, wanted_, help_)                                                              \
    {                                                                                                                  \
        WHERE(field), .type = T_TEXT, .kind = CONFIG_##kind_, .text = (text_), .valid = (valid_), .wanted = (wanted_), \
                      .help = (help_)                                                                                  \
    }
#define BOOL(field, kind_, number_, help_)                                                                   \
    {                                                                                                        \
        WHERE(field), .type = T_BOOL, .kind = CONFIG_##kind_, .max = 1, .number = (number_), .help = (help_) \
    }
#define U32(field, kind_, number_, min_, max_, help_)                                                           \
    {                                                                                                           \
        WHERE(field), .type = T_U32, .kind = CONFIG_##kind_, .min = (min_), .max = (max_), .number = (number_), \
                      .help = (help_)                                                                           \
    }
#define SIZE(field, kind_, number_, min_, max_, help_)                                                           \
    {                                                                                                            \
        WHERE(field), .type = T_SIZE, .kind = CONFIG_##kind_, .min = (min_), .max = (max_), .number = (number_), \
                      .help = (help_)                                                                            \
    }

/* Field, kind (enum config_kind), default, bounds or what is right, help. */
const struct config_item config_items[] = {
    TEXT(domain, START, "localhost", valid_domain, "a host name such as mail.example.org",
         "The server's own name: in the greeting, in Received and in Authentication-Results."),
    TEXT(bind, START, "127.0.0.1", valid_address, "an IPv4 or IPv6 address",
         "The address to listen on; 0.0.0.0 or :: for all."),
    U32(port_base, START, 0, 0, 64000, "Added to every usual port: 20000 puts SMTP on 20025 and IMAPS on 20993."),
    BOOL(smtp, START, 1, "Listen for mail from other servers (port 25)."),
    BOOL(submissions, START, 1, "Listen for mail from our own people over TLS (port 465)."),
    BOOL(submission, START, 1, "Listen for mail from our own people with STARTTLS (port 587)."),
    BOOL(imap, START, 1, "Listen for IMAP with STARTTLS (port 143)."),
    BOOL(imaps, START, 1, "Listen for IMAP over TLS (port 993)."),
    BOOL(http, START, 1, "Listen for HTTP in the clear (port 80), which sends browsers on to HTTPS."),
    BOOL(https, START, 1, "Listen for HTTPS (port 443): the MTA-STS policy of our domains, and pages."),
    TEXT(tls_chain, LIVE, "tls/chain.pem", valid_path, "a path",
         "The certificate chain, PEM, the server's own first. Relative paths are below the instance's directory."),
    TEXT(tls_key, LIVE, "tls/key.pem", valid_path, "a path", "The certificate's private key, PEM."),
    TEXT(store_key_file, START, "", valid_path_or_none, "a path, or nothing",
         "The key file that opens the store, if that slot is used; best on another file system."),
    TEXT(log_level, LIVE, "info", valid_level, "error, warn, info or debug",
         "What is logged: error, warn, info or debug."),
    BOOL(debug_names, LIVE, 0,
         "Log recipients' addresses too. Only for a debugging window: with no, logs name no person."),
    BOOL(allow_no_landlock, START, 0,
         "Serve although the kernel lacks Landlock: the roles are then confined by seccomp and uid alone."),
    U32(role_uid_base, START, 61800, 1000, 4000000000U,
        "Started as root, each role runs under a user and group id of its own, counted from this one."),
    U32(ingest_instances, START, 0, 0, 64, "Processes that receive and seal mail; 0 is one a core."),
    U32(access_instances, START, 0, 0, 64, "Processes that serve readers; 0 is one a core."),
    U32(relay_instances, START, 0, 0, 64, "Processes that send mail on, each some of the messages; 0 is one a core."),
    U32(web_instances, START, 0, 0, 64, "Processes that serve HTTP; 0 is one a core."),

    TEXT(dns_server, LIVE, "", valid_servers,
         "addresses with commas between them, each with @PORT or without, or nothing",
         "Name servers that resolve for this one and pass on what DNSSEC needs: ADDR or ADDR@PORT, with commas. Empty: "
         "it asks the root's and the zones' servers itself."),
    TEXT(dns_stub, LIVE, "", valid_stubs, "zones with a server each (ZONE ADDR@PORT), commas between them, or nothing",
         "Zones that have a server of their own here: ZONE ADDR or ZONE ADDR@PORT, with commas. A zone counts as "
         "unsigned unless dns_anchor_file has a key for it, or for one above it that is not the root."),
    TEXT(dns_anchor_file, START, "/usr/share/dns/root.key", valid_path_or_none, "a path, or nothing",
         "The keys that names are validated by (DNSSEC), DS or DNSKEY records, one a line; Debian's dns-root-data has "
         "the root's. Empty: nothing is validated, and no name is ever secure."),

    TEXT(fetch_allow, START, "", valid_prefixes,
         "addresses (ADDR, ADDR/BITS, either with @PORT) with commas between them, or nothing",
         "Pages are fetched from addresses of the open Internet alone. Exceptions (a private network, a test): ADDR, "
         "ADDR/BITS, and with @PORT where port 443 is another one."),
    TEXT(fetch_ca_file, START, "/etc/ssl/certs/ca-certificates.crt", valid_path_or_none, "a path, or nothing",
         "Authorities' certificates, PEM, by which web servers are verified. Empty: nothing can be fetched."),
    U32(fetch_timeout, LIVE, 60, 1, 300, "Seconds that one page may take, its name's look-up included (RFC 8461 3.3)."),

    SIZE(message_max, LIVE, 50 * MB, 64 * KB, 1 * GB, "The largest message (RFC 1870 SIZE)."),
    U32(recipients_max, LIVE, 100, 1, 10000, "Recipients of one transaction (RFC 5321 4.5.3.1.8 asks for 100)."),
    U32(text_line_max, LIVE, 1073741824, 998, 1073741824,
        "Octets of one line of a message. RFC 5321 says 998, real mail has far longer ones."),
    U32(smtp_sessions, SHARED, 1000, 1, 1000000,
        "SMTP sessions at a time. Past it, connections wait in the queue until a session ends."),
    U32(smtp_sessions_peer, PEER, 50, 1, 1000000,
        "SMTP sessions of one peer: an IPv4 address or an IPv6 /64. One more is refused. Its /24 or /48 may have eight "
        "times that."),
    U32(smtp_sessions_account, PEER, 20, 1, 1000000,
        "Sessions of one account that sends, from wherever. One more is refused when it logs in."),
    U32(smtp_errors, LIVE, 20, 1, 10000, "Bad commands in a session before it is ended with 421."),
    U32(smtp_errors_peer, PEER, 20, 1, 100000,
        "Errors (bad commands, recipients that are not here) that one peer may make at once before its answers are "
        "slowed: a list with some stale addresses is not."),
    U32(smtp_errors_minute, PEER, 30, 1, 60000,
        "So many of them are forgiven each minute. A network has eight times both."),
    U32(smtp_command_timeout, LIVE, 300, 1, 86400, "Seconds until a command is whole (RFC 5321 4.5.3.2.7)."),
    U32(smtp_data_timeout, LIVE, 600, 1, 86400, "Seconds to wait for the next bytes of a message."),
    U32(smtp_session_timeout, LIVE, 3600, 1, 604800, "Seconds that a session may last in all."),
    SIZE(plaintext_budget, SHARED, 512 * MB, 1 * MB, 1 * TB,
         "Bytes of mail in flight, in all processes that receive it together (and again in all that serve readers); "
         "past it: 4xx. A process always takes one message of message_max."),
    SIZE(plaintext_budget_peer, PEER, 128 * MB, 1 * MB, 1 * TB,
         "The part of it that one peer may hold. Its /24 or /48 may hold eight times that, at most half of all."),
    BOOL(submission_scram_plus, LIVE, 0,
         "Offer SCRAM-SHA-256-PLUS to who sends mail. Some clients take it and cannot do it (neomutt of Debian 12)."),
    BOOL(submission_plain_auth_loopback, LIVE, 0,
         "Let clients on loopback log in to send without TLS: for test tools."),
    U32(hold_max, LIVE, 2592000, 0, 31536000,
        "Seconds that mail may be held before it is sent (RFC 4865); 0: clients cannot ask for it. The default is 30 "
        "days."),
    U32(queue_lifetime, LIVE, 432000, 1, 8640000,
        "Seconds that mail to other servers is tried for before it is given back. The default is 5 days (RFC 5321 "
        "4.5.4.1)."),
    U32(send_messages_day, LIVE, 1000, 0, 1000000000,
        "Messages that one account may send to others in any 24 hours; past it the account is held until letterlock "
        "account release. 0 is no limit, here and in the next three."),
    U32(send_recipients_day, LIVE, 3000, 0, 1000000000,
        "Recipients of these messages, each message's counted: past it the same."),
    U32(send_new_recipients_day, LIVE, 200, 0, 1000000000,
        "Of these, recipients whom the account has not written to before: past it the same."),
    U32(send_domain_messages_day, LIVE, 0, 0, 1000000000,
        "Messages that all accounts of one domain of ours may send together; past it they are told to try later."),
    U32(send_messages_burst, PEER, 50, 1, 100000,
        "Messages that one account may send at once, to whomever, before it has to wait."),
    U32(send_messages_minute, PEER, 180, 0, 60000,
        "So many more it may send each minute: the next MAIL is answered when its turn has come, after 20 s at most. "
        "Logins to send are counted likewise, by themselves. 0: nobody waits."),
    U32(complaints_day, LIVE, 10, 0, 200,
        "Messages of one account that others may complain about in any 24 hours, by feedback reports (RFC 5965) to "
        "abuse@; past it the account is held. 0: they hold nobody."),
    BOOL(auth_reject, LIVE, 1,
         "Refuse mail (550) that fails DMARC where the domain of its From asks for that (p=reject, RFC 9989)."),
    BOOL(auth_junk, LIVE, 1,
         "Put into the mailbox for junk what fails DMARC with p=quarantine (or p=reject, if auth_reject is no), and "
         "mail whose From is missing, twice, or read in different ways."),
    BOOL(auth_author_reject, LIVE, 0,
         "Refuse mail whose From is missing, twice, or read in different ways, instead of auth_junk."),
    BOOL(auth_spf_reject, LIVE, 0,
         "Refuse mail that fails SPF (-all) and does not pass DMARC, whatever its author's domain asks for. Forwarded "
         "mail often does."),
    BOOL(helo_reject, LIVE, 0,
         "Refuse mail of servers that call themselves (HELO) by what is no name, or by this server's own."),
    TEXT(auth_unavailable, LIVE, "accept", valid_unavailable, "accept or defer",
         "Mail of whose author's domain nobody can tell now what it asks for (names do not resolve): accept, or defer "
         "(451). What that may refuse or call junk is deferred in any case."),
    TEXT(auth_exempt, LIVE, "127.0.0.0/8, ::1", valid_networks,
         "addresses (ADDR, ADDR/BITS) with commas between them, or nothing",
         "Mail of these is not judged: servers of our own that take mail in for us, or make it."),
    TEXT(arc_trusted, LIVE, "", valid_domains, "names with commas between them, or nothing",
         "Domains of lists and forwarders that are believed: mail that fails DMARC is accepted if all who sealed it "
         "(ARC, RFC 8617) are here and the seals hold."),
    TEXT(dnsbl, LIVE, "", valid_weighed_domains, "zones (ZONE, ZONE=WEIGHT) with commas between, or nothing",
         "Block lists (RFC 5782) asked for who brings mail, at most eight. Weights go from 1 to 10: of 10 in all, "
         "which one list has unless it is said, mail is refused (550); of less its reader is told."),
    BOOL(greylist, LIVE, 0,
         "Put off (451) mail from where none came before, until it is sent again: much of what strangers send never "
         "is. Known correspondents whose mail passes DMARC are not put off."),
    U32(greylist_wait, LIVE, 300, 1, 3600, "Seconds until such a try counts as made again (RFC 6647)."),
    U32(greylist_keep, LIVE, 3024000, 3600, 31536000,
        "Seconds that whoever has tried again is let through, from the last mail on. The default is 35 days."),
    BOOL(forward_plaintext, LIVE, 0,
         "Let an account's mail be forwarded in the clear to an address of which no key is known (letterlock account "
         "set --forward). With no, such mail is kept and not forwarded."),
    TEXT(xclient_hosts, LIVE, "", valid_address_list, "addresses with commas between them, or nothing",
         "Addresses that may use XCLIENT: a proxy in front, or a test."),

    U32(imap_sessions, SHARED, 20000, 1, 1000000,
        "IMAP sessions at a time. Past it, connections wait in the queue until a session ends."),
    U32(imap_sessions_peer, PEER, 200, 1, 1000000,
        "IMAP sessions of one peer. One more is refused. Its /24 or /48 may have eight times that."),
    U32(imap_sessions_account, PEER, 100, 1, 1000000,
        "IMAP sessions of one account, from wherever. One more is refused when it logs in. A client keeps five to "
        "fifteen, so the default is enough for half a dozen devices."),
    U32(imap_login_timeout, LIVE, 180, 1, 86400, "Seconds until a client must have logged in."),
    U32(imap_idle_timeout, LIVE, 1860, 1, 604800, "Seconds without a command (RFC 9051 5.4 asks for 1800 at least)."),
    BOOL(imap_plain_auth_loopback, LIVE, 0, "Let clients on loopback log in without TLS: for test tools."),

    U32(web_sessions, SHARED, 10000, 1, 1000000,
        "HTTP connections at a time. Past it, connections wait in the queue until one ends."),
    U32(web_sessions_peer, PEER, 100, 1, 1000000,
        "HTTP connections of one peer. One more is refused. Its /24 or /48 may have eight times that."),
    U32(web_request_timeout, LIVE, 20, 1, 3600,
        "Seconds from a connection's beginning until the header of its first request is whole."),
    U32(web_transfer_timeout, LIVE, 30, 1, 3600,
        "Seconds that the body of a request may take to come, or an answer to be taken, and one more for each 2,000 "
        "octets."),
    U32(web_idle_timeout, LIVE, 60, 1, 86400, "Seconds from an answer until the next request's header is whole."),
    U32(web_lookups_peer, PEER, 200, 1, 10000000,
        "Look-ups of published certificates (WKD, HKP, VKS) that one peer may make at once; one more is told to try "
        "later."),
    U32(web_lookups_minute, PEER, 60, 1, 60000, "So many more each minute. A /24 or /48 may make eight times both."),
    BOOL(web_signin, LIVE, 1,
         "Let the owners of accounts sign in over HTTPS, by a password that never comes to the server: the operator "
         "invites them (letterlock invite) to register one."),
    U32(session_idle, LIVE, 2592000, 60, 34560000, "Seconds without a request after which such a session is over."),
    U32(session_life, LIVE, 7776000, 60, 34560000, "Seconds after which it is over, used or not."),
    TEXT(mta_sts_mode, LIVE, "testing", valid_sts_mode, "none, testing or enforce",
         "What the MTA-STS policy of our domains asks of other servers that send here: none, testing (they report what "
         "fails and send all the same) or enforce (RFC 8461 3.2)."),
    TEXT(mta_sts_mx, LIVE, "", valid_sts_names, "names with commas between them, or nothing",
         "The mail servers that the policy names, as MX records do, *.NAME among them; empty: domain alone."),
    U32(mta_sts_max_age, LIVE, 604800, 86400, 31557600, "Seconds for which others may keep the policy."),

    U32(queue_retry, LIVE, 300, 1, 86400, "Seconds until a second try; each further one waits twice as long."),
    U32(queue_retry_max, LIVE, 14400, 1, 604800, "The most seconds between two tries."),
    U32(queue_delay_notice, LIVE, 14400, 0, 31536000,
        "Seconds until a sender is told, once, that mail is late and still tried; 0: never."),
    U32(relay_port, START, 25, 1, 65535, "The port of other mail servers: another one is for tests."),
    U32(relay_connections, SHARED, 500, 1, 10000, "Connections to other mail servers at a time."),
    U32(relay_connections_destination, SHARED, 20, 1, 1000,
        "The most of them for one domain. Each process has two at first, and more as they succeed; one in any case."),
    U32(relay_connect_timeout, LIVE, 30, 1, 3600, "Seconds until a server must have taken a connection."),
    U32(relay_timeout, LIVE, 600, 1, 3600,
        "The most seconds to wait for a reply; RFC 5321 4.5.3.2 has less for most (5 minutes for a greeting)."),
    TEXT(relay_source, LIVE, "", valid_source, "an IPv4 address, an IPv6 address, both with a comma, or nothing",
         "The address to send from; empty: the system's choice. relay.policy has others for single domains of ours."),
    TEXT(relay_tls_roots, START, "/etc/ssl/certs/ca-certificates.crt", valid_path_or_none, "a path, or nothing",
         "Authorities' certificates, PEM, for servers whose own is to be verified (smarthost, tls=verify)."),
    BOOL(tls_report, LIVE, 1,
         "Tell other domains once a day how TLS to their servers went, if their DNS asks for it (RFC 8460)."),
    TEXT(tls_report_contact, LIVE, "", valid_mailbox, "a mail address such as postmaster@example.org, or nothing",
         "Whom these reports are from: an address of a domain that is signed for (letterlock dkim). Empty: postmaster "
         "of the server's own name or, if that is none, of the first one."),
    U32(tls_report_interval, LIVE, 86400, 1, 86400,
        "Seconds that one report is about: another value than a day is for tests."),
    TEXT(smarthost, LIVE, "", valid_smarthost, "HOST, HOST:PORT, or nothing",
         "Where all mail for others goes; empty: to the servers of each domain."),
    TEXT(smarthost_user, LIVE, "", valid_user, "a name without blanks, or nothing",
         "The name to log in there with; the server's certificate is verified then."),
    TEXT(smarthost_password_file, LIVE, "", valid_path_or_none, "a path, or nothing",
         "A file whose first line is the password for it."),

    U32(discover_wait, LIVE, 10, 0, 60,
        "Seconds that keys of people elsewhere are looked for (WKD, DANE, discover_key_server), for mail of accounts "
        "that seal what they send (letterlock account set --encrypt). 0: nobody is asked."),
    TEXT(discover_key_server, LIVE, "", valid_key_server, "vks:HOST, hkp:HOST, or nothing",
         "A key server that is asked where the domain itself has no key: it hears who is written to. HOST serves HTTPS "
         "on port 443, as vks:keys.openpgp.org."),
    TEXT(discover_unanswered, LIVE, "clear", valid_unanswered, "clear or defer",
         "While nobody answers for a key that was never seen, mail of accounts that seal where they can goes in the "
         "clear, or is answered with 451 (defer)."),

    TEXT(doctor_peer, LIVE, "gmail-smtp-in.l.google.com", valid_smarthost, "HOST, HOST:PORT, or nothing",
         "Another mail server, whose port 25 letterlock doctor tries to reach, and says nothing to."),
    TEXT(blocklists, LIVE, "zen.spamhaus.org, bl.spamcop.net", valid_domains,
         "names with commas between them, or nothing",
         "Block lists that are asked by DNS whether they have this server's own addresses (RFC 5782)."),
    U32(blocklists_interval, LIVE, 86400, 0, 2592000,
        "Seconds between two times that they are asked; letterlock doctor asks at once. 0: nobody else does."),

    SIZE(quota_default, LIVE, 0, 0, 1024 * TB,
         "Bytes a new account may hold; 0 is no limit. All that takes room in the store counts: messages, their places "
         "in mailboxes, mailboxes, keywords."),
    U32(account_entries_max, LIVE, 2000000, 0, 4000000000U,
        "Messages in the mailboxes of one account together, a copy counting again, whatever its quota; 0 is no limit. "
        "The default is ten times a large mailbox of thirty years, and half a GB."),
    TEXT(policy_default, LIVE, "shy", valid_policy, "shy, baseline or hidden",
         "How much of a sealed message's header stays outside, for new accounts: shy, baseline or hidden."),
    BOOL(publish_default, LIVE, 1,
         "Publish the certificates of new accounts, so that others find them by the address and encrypt to them."),
    BOOL(autocrypt_default, LIVE, 1,
         "What new accounts send brings their certificate along (Autocrypt), so that whoever gets it can encrypt the "
         "answer."),
    BOOL(certificate_uploads, LIVE, 1,
         "Take certificates in over HTTPS (VKS, HKP) and by mail to key-submission@DOMAIN. One is published once "
         "whoever has the mailbox of its address says so, by a link in a mail, or by mail."),
    BOOL(certificate_uploads_other, LIVE, 0,
         "Also certificates of keys that their account does not have. What others encrypt to those comes as it is."),
    U32(rsa_bits_min, LIVE, 2048, 2048, 8192,
        "Bits that a reader's RSA key must have at least, to sign and to encrypt."),
    BOOL(accept_dsa, LIVE, 1,
         "Take certificates whose primary key is DSA; under 2048 bits they are refused in any case."),
    BOOL(accept_elgamal, LIVE, 1,
         "Seal to ElGamal keys (GnuPG does, many times slower); under 2048 bits they are refused in any case."),
    BOOL(keep_wildcard_mail, LIVE, 1,
         "Keep PGP/MIME mail whose recipients are all hidden (at most 16) as it came if one fits a current key by "
         "algorithm, curve and length: nobody can tell whether it opens it. no: it is sealed again."),
    U32(key_notice_days, LIVE, 30, 1, 365,
        "Days before a key expires that its reader gets a notice in INBOX, and that status lists it."),
    U32(queue_messages_max, LIVE, 1000000, 1, 1000000000,
        "Messages that may wait to be sent. Past it senders are told to try again later."),
    U32(dkim_publish_wait, LIVE, 259200, 0, 2592000,
        "Seconds from when letterlock dkim rotate has made a key until it signs: its DNS record must be known by then. "
        "A name server may say for hours that there is none, and a change by hand may take days."),
    SIZE(disk_reserve, LIVE, 1 * GB, 0, 1024 * TB,
         "Bytes of the store's disk to leave free, at most a twentieth of it: below, mail is refused for now (452) and "
         "readers can still delete. The default is a busy hour's mail; 0: not watched."),
    SIZE(map_size, START, sizeof(void *) > 4 ? 1 * TB : 1 * GB, 16 * MB, sizeof(void *) > 4 ? 64 * TB : 2 * GB - MB,
         "Address space set aside for the store: it can grow to this size and takes no disk before."),
    U32(reader_turn_ms, START, 1000, 50, 60000,
        "Milliseconds that a reader's view of the store stays good; the writer keeps old pages for so long."),
};
const size_t config_items_n = sizeof(config_items) / sizeof(config_items[0]);
_Static_assert(sizeof(config_items) / sizeof(config_items[0]) <= CONFIG_ITEMS_MAX, "CONFIG_ITEMS_MAX");

static bool valid_domain(const char *s)
{
    size_t len = strlen(s), label = 0;

    /* RFC 1123 2.1: letters, digits and inner hyphens, labels of at most 63, 253 in all. */
    if (len == 0 || len > 253)
        return false;
    for (size_t i = 0; i <= len; i++) {
        char c = s[i];

        if (c == '.' || c == '\0') {
            if (label == 0 || label > 63 || s[i - 1] == '-')
                return false;
            label = 0;
        } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c == '-' && label)) {
            label++;
        } else {
            return false;
        }
    }
    return true;
}

static bool valid_address(const char *s)
{
    struct in6_addr a;

    return inet_pton(AF_INET, s, &a) == 1 || inet_pton(AF_INET6, s, &a) == 1;
}

bool config_list_next(const char **at, char *one, size_t cap)
{
    const char *s = *at + strspn(*at, " ");
    size_t n = strcspn(s, ","), len = n;

    if (!**at)
        return false;
    while (len && s[len - 1] == ' ')
        len--;
    if (len >= cap)
        len = 0;
    memcpy(one, s, len);
    one[len] = '\0';
    *at = s + n + (s[n] == ',');
    return true;
}

bool config_weighed(const char *one, char *zone, size_t cap, uint32_t *ret_weight)
{
    const size_t len = strcspn(one, "=");
    const char *weight = one + len + 1;

    if (len >= cap)
        return false;
    memcpy(zone, one, len);
    zone[len] = '\0';
    *ret_weight = CONFIG_WEIGHT_MAX;
    if (!one[len] || strcmp(weight, "10") == 0)
        return true;
    *ret_weight = (uint32_t)(weight[0] - '0');
    return weight[0] >= '1' && weight[0] <= '9' && !weight[1];
}

/* Every one of a list is valid. */
static bool valid_list(const char *s, bool (*valid)(char *one))
{
    char one[512];

    if (*s && s[strlen(s) - 1] == ',')
        return false;
    while (config_list_next(&s, one, sizeof(one)))
        if (!valid(one))
            return false;
    return true;
}

static bool valid_one_address(char *one)
{
    return valid_address(one);
}

static bool valid_address_list(const char *s)
{
    return valid_list(s, valid_one_address);
}

/* ADDR or ADDR@PORT. */
static bool valid_server(char *one)
{
    char *port = strchr(one, '@');
    unsigned long number = 0;

    if (port) {
        *port++ = '\0';
        if (strspn(port, "0123456789") != strlen(port) || strlen(port) > 5)
            return false;
        number = strtoul(port, NULL, 10);
    }
    return valid_address(one) && (!port || (number > 0 && number <= 65535));
}

static bool valid_servers(const char *s)
{
    return valid_list(s, valid_server);
}

static bool valid_stub(char *one)
{
    char *server = strchr(one, ' ');

    if (!server)
        return false;
    *server++ = '\0';
    return valid_domain(one) && valid_server(server + strspn(server, " "));
}

static bool valid_stubs(const char *s)
{
    return valid_list(s, valid_stub);
}

static bool valid_prefix(char *one)
{
    struct prefix p;

    return prefix_parse(one, &p) == OK;
}

static bool valid_prefixes(const char *s)
{
    return valid_list(s, valid_prefix);
}

/* Those with a port are none. */
static bool valid_network(char *one)
{
    struct prefix p;

    return prefix_parse(one, &p) == OK && p.port == 0;
}

static bool valid_networks(const char *s)
{
    return valid_list(s, valid_network);
}

static bool valid_one_domain(char *one)
{
    return valid_domain(one);
}

static bool valid_domains(const char *s)
{
    return valid_list(s, valid_one_domain);
}

static bool valid_weighed_domain(char *one)
{
    char zone[512];
    uint32_t weight;

    return config_weighed(one, zone, sizeof(zone), &weight) && valid_domain(zone);
}

static bool valid_weighed_domains(const char *s)
{
    size_t commas = 0;

    for (const char *c = s; *c; c++)
        commas += *c == ',';
    return commas < CONFIG_WEIGHED_MAX && valid_list(s, valid_weighed_domain);
}

/* As keyserver/discover takes it: a host of two labels at least. */
static bool valid_key_server(const char *s)
{
    const char *host = strncmp(s, "vks:", 4) == 0 || strncmp(s, "hkp:", 4) == 0 ? s + 4 : "";

    return !*s || (strchr(host, '.') && valid_domain(host));
}

static bool one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

static bool valid_sts_mode(const char *s)
{
    static const char *const words[] = {"none", "testing", "enforce", NULL};

    return one_of(s, words);
}

static bool valid_unavailable(const char *s)
{
    static const char *const words[] = {"accept", "defer", NULL};

    return one_of(s, words);
}

static bool valid_sts_name(char *one)
{
    return valid_domain(strncmp(one, "*.", 2) == 0 ? one + 2 : one);
}

static bool valid_sts_names(const char *s)
{
    return valid_list(s, valid_sts_name);
}

static bool valid_path_or_none(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

static bool valid_path(const char *s)
{
    return *s && valid_path_or_none(s);
}

static bool valid_source(const char *s)
{
    struct relay_source source;

    return !*s || relay_source_parse(s, &source) == OK;
}

static bool valid_smarthost(const char *s)
{
    return !*s || relay_host_valid(s);
}

static bool valid_user(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= 0x20 || *s == 0x7f)
            return false;
    return true;
}

/* Whoever sends mail by it reads the rest of it. */
static bool valid_mailbox(const char *s)
{
    const char *at = strrchr(s, '@');

    return s[0] == '\0' || (at && at > s && valid_user(s) && valid_domain(at + 1));
}

static bool valid_level(const char *s)
{
    enum log_level level;

    return log_level_parse(s, &level) == OK;
}

static bool valid_unanswered(const char *s)
{
    static const char *const words[] = {"clear", "defer", NULL};

    return one_of(s, words);
}

static bool valid_policy(const char *s)
{
    static const char *const words[] = {"shy", "baseline", "hidden", NULL};

    return one_of(s, words);
}
