/* The configuration file DIR/letterlock.conf: "name = value" lines, # comments, one table of items with type, default,
 * bounds and help text, from which `init` writes the commented file and the man page's list is checked. The file is
 * read by master and the command line; roles get its bytes and parse them with the same function. An unknown name, a
 * value out of bounds or a double is an error with its line number. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config {
    char domain[256];   /* the server's own name: banner, Received, authserv-id */
    char bind[64];      /* address to listen on */
    uint32_t port_base; /* --loopback BASE: added to every usual port */
    bool smtp, submissions, submission, imap, imaps, http, https; /* listeners wanted */
    char tls_chain[512], tls_key[512];                            /* paths; relative ones are below DIR */
    char store_key_file[512];                                     /* path of the key-file slot, or "" */
    char log_level[16];
    bool debug_names;
    bool allow_no_landlock;
    uint32_t role_uid_base; /* started as root: role n runs as uid and gid base + n */
    uint32_t ingest_instances, access_instances, relay_instances, web_instances;

    char dns_server[512];      /* servers that resolve for us, ADDR[@PORT] with commas; "": we do it ourselves */
    char dns_stub[512];        /* ZONE ADDR[@PORT], with commas: zones with servers of their own */
    char dns_anchor_file[512]; /* path; "": nothing is validated */

    char fetch_allow[512], fetch_ca_file[512]; /* ADDR[/BITS][@PORT], with commas; a path */
    uint32_t fetch_timeout;                    /* seconds */

    uint64_t message_max;    /* bytes of one message, default 50 MB */
    uint32_t recipients_max; /* of one transaction, default 100 */
    uint32_t text_line_max;  /* octets of a line in DATA (RFC 5321 section 4.5.3.1.6); real mail has long ones */
    uint32_t smtp_sessions, smtp_sessions_peer;
    uint32_t smtp_errors; /* bad commands before 421 */
    uint32_t smtp_sessions_account, send_messages_burst, send_messages_minute;
    uint32_t smtp_errors_peer, smtp_errors_minute;                          /* before answers are slowed */
    uint32_t smtp_command_timeout, smtp_data_timeout, smtp_session_timeout; /* seconds */
    uint64_t plaintext_budget, plaintext_budget_peer;                       /* bytes in flight */
    bool submission_scram_plus;
    bool submission_plain_auth_loopback;                                      /* let loopback log in without TLS */
    uint32_t hold_max, queue_lifetime;                                        /* seconds */
    uint32_t send_messages_day, send_recipients_day, send_new_recipients_day; /* of an account; 0: no limit */
    uint32_t send_domain_messages_day;                                        /* of a domain's accounts */
    uint32_t complaints_day;                  /* about an account's mail; 0: they hold nobody */
    bool auth_reject, auth_junk;              /* as the author's domain asks (DMARC) */
    bool auth_author_reject, auth_spf_reject; /* mail of no one author; SPF fails and DMARC does not pass */
    bool helo_reject;                         /* who calls himself by a name that is none, or ours */
    char auth_unavailable[16];                /* accept, defer */
    char auth_exempt[512], arc_trusted[512];  /* ADDR[/BITS] with commas; names with commas */
    char dnsbl[512];                          /* ZONE[=WEIGHT] with commas */
    bool greylist;
    uint32_t greylist_wait, greylist_keep; /* seconds */
    bool forward_plaintext;                /* mail may be forwarded to whom no key is known of */
    char xclient_hosts[512];               /* comma-separated addresses that may use XCLIENT (a proxy or a test) */

    uint32_t imap_sessions, imap_sessions_peer, imap_sessions_account;
    uint32_t imap_login_timeout, imap_idle_timeout; /* seconds */
    bool imap_plain_auth_loopback;                  /* offer LOGIN without TLS to loopback peers (test tools) */

    uint32_t web_sessions, web_sessions_peer;
    uint32_t web_lookups_peer, web_lookups_minute;                        /* of published certificates */
    bool web_signin;                                                      /* whether people sign in over HTTP */
    uint32_t session_idle, session_life;                                  /* seconds */
    uint32_t web_request_timeout, web_transfer_timeout, web_idle_timeout; /* seconds */
    char mta_sts_mode[16], mta_sts_mx[512]; /* names with commas between them; "": domain */
    uint32_t mta_sts_max_age;               /* seconds */

    uint32_t queue_retry, queue_retry_max, queue_delay_notice; /* seconds */
    uint32_t relay_port, relay_connections, relay_connections_destination;
    uint32_t relay_connect_timeout, relay_timeout; /* seconds */
    char relay_source[128];                        /* addresses to send from, or "" */
    char relay_tls_roots[512];                     /* a path, or "" */
    bool tls_report;                               /* to other domains (RFC 8460) */
    char tls_report_contact[320];                  /* an address, or "" */
    uint32_t tls_report_interval;                  /* seconds */
    char smarthost[300], smarthost_user[256], smarthost_password_file[512];

    uint32_t discover_wait;        /* seconds; 0: nobody is asked for keys */
    char discover_key_server[256]; /* "vks:HOST", "hkp:HOST", or "" */
    char discover_unanswered[8];   /* clear, defer */

    char doctor_peer[300];        /* whose port 25 letterlock doctor tries, or "" */
    char blocklists[512];         /* their names, with commas between them */
    uint32_t blocklists_interval; /* seconds; 0: they are not watched */

    uint64_t quota_default;          /* bytes an account, 0: none */
    uint32_t account_entries_max;    /* messages in all mailboxes of an account; 0: no limit */
    char policy_default[16];         /* shy, baseline, hidden */
    bool publish_default;            /* whether new accounts can be found */
    bool autocrypt_default;          /* whether what they send brings their certificate along */
    bool certificate_uploads;        /* whether certificates are taken in over HTTP, to be verified by mail */
    bool certificate_uploads_other;  /* of keys that their account has not, too */
    uint32_t key_notice_days;        /* before a key expires its reader is told */
    uint32_t rsa_bits_min;           /* of readers' keys */
    bool accept_dsa, accept_elgamal; /* never under 2048 bits */
    bool keep_wildcard_mail;         /* encrypted to hidden recipients alone: kept as it came, not sealed again */
    uint32_t queue_messages_max;     /* that wait to be sent */
    uint32_t dkim_publish_wait;      /* seconds from a key's making to its use */
    uint64_t disk_reserve;           /* bytes of disk below which nothing that grows is taken */
    uint64_t map_size;               /* bytes of address space for the store */
    uint32_t reader_turn_ms;         /* so long a transaction of a reader may last */
};

void config_defaults(struct config *c);
/* text need not end in NUL. On ERR_FORMAT why says line, item and what would be right. */
int config_parse(const char *text, size_t len, struct config *ret, char *why, size_t why_cap);
/* Writes the commented file with c's values. Returns bytes, or ERR_LIMIT. */
long config_write(const struct config *c, char *out, size_t cap);
/* How a reload takes an item. */
enum config_kind {
    CONFIG_START,  /* not at all: it counts from the next start */
    CONFIG_LIVE,   /* at once; what has begun (a session, a message) may keep what it began with */
    CONFIG_SHARED, /* at once; each process of a role takes an even share of it */
    CONFIG_PEER,   /* at once; of one peer, counted over a role's processes together */
};
/* Takes over what was read, but for the CONFIG_START items, which stay as they are: late lists those that differ, with
 * commas, or is "". */
void config_reload(struct config *c, const struct config *read, char *late, size_t late_cap);
/* The items whose values differ, with commas, or "". */
void config_differences(const struct config *a, const struct config *b, char *list, size_t cap);
/* What one of n processes that do the same may take of CONFIG_SHARED items. Together they take what is configured, but
 * a process takes one message of message_max in any case. n 0 is 1. */
void config_share(struct config *c, uint32_t n);
/* The log from here on: the process's name in its lines, level and names as configured. */
void config_set_log(const struct config *c, const char *process);
/* The next of a list with commas, without the blanks around it, into one, which is as large as the list. False: that
 * was the last. */
bool config_list_next(const char **at, char *one, size_t cap);
/* One of them that may have a weight: ZONE, ZONE=WEIGHT. */
enum { CONFIG_WEIGHT_MAX = 10 /* and of what has none */, CONFIG_WEIGHED_MAX = 8 /* of a list */ };
bool config_weighed(const char *one, char *zone, size_t cap, uint32_t *ret_weight);
/* The table, for documentation tests: NULL past the end. */
const char *config_item_name(size_t i);

#endif
