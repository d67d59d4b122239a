/* What roles count, and `status` shows. They send numbers alone, and master has the names. A row more is a counter
 * more; who counts it says it by role_status_put. */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include "server/base/tls.h"

/* Of a role that serves clients; `access` has "imap_" before each, `web` "web_". */
#define SERVICE_COUNTERS(X)                                   \
    TLS_FAULTS(X)                                             \
    X(SESSIONS_NOW, "sessions_now")                           \
    X(SESSIONS_REFUSED, "sessions_refused")                   \
    X(SESSIONS_SHED, "sessions_shed") /* to make room */      \
    X(SESSIONS_ENDED_FOR_MEMORY, "sessions_ended_for_memory") \
    X(SESSIONS_ENDED_SLOW, "sessions_ended_slow")             \
    X(PRESSURE_NOW, "pressure_now")                           \
    X(PLAINTEXT_BYTES_NOW, "plaintext_bytes_now")             \
    X(GPG_SEALS_WAITING_NOW, "gpg_seals_waiting_now")         \
    X(GPG_SEALS_REFUSED, "gpg_seals_refused")

/* Of `ingest`, beside those of service. */
#define INGEST_COUNTERS(X)                                                                           \
    X(SESSIONS, "sessions")         /* since the start */                                            \
    X(ACCEPTED, "accepted")         /* messages with 250 */                                          \
    X(SEALED, "sealed")             /* one a recipient */                                            \
    X(FOREIGN, "arrived_encrypted") /* of these, kept as they came */                                \
    X(WILDCARD, "arrived_wildcard") /* of these, for hidden recipients */                            \
    X(BYTES, "bytes")               /* of accepted messages */                                       \
    X(NO_USER, "refused_no_user")                                                                    \
    X(RELAY, "refused_relay")                                                                        \
    X(NO_KEY, "refused_no_key")                                                                      \
    X(QUOTA, "refused_quota")                                                                        \
    X(SIZE, "refused_size")                                                                          \
    X(BARE, "refused_bare_cr_or_lf")                                                                 \
    X(LINE, "refused_long_line")                                                                     \
    X(LOOP, "refused_loop")                                                                          \
    X(EARLY, "refused_early")            /* who spoke before the greeting */                         \
    X(ERRORS, "errors")                  /* replies 5xx */                                           \
    X(ERRORS_WAITS, "errors_waits")      /* answers held back for them */                            \
    X(ERRORS_UNSEEN, "errors_unseen")    /* recipients refused without a look */                     \
    X(BUDGET, "deferred_budget")         /* no memory for plaintext */                               \
    X(DISK_FULL, "deferred_disk_full")   /* before the mail was sent */                              \
    X(DEFERRED, "deferred_other")        /* sealing or storing failed for now */                     \
    X(VERIFY_MAILS, "verify_mails")      /* words about certificates that were sent in */            \
    X(KEY_CHANGES, "key_change_notices") /* notices of correspondents' other keys */                 \
    X(WKS, "key_submissions")            /* certificates and words that came by mail */              \
    X(WKS_PUBLISHED, "key_submissions_published")                                                    \
    X(DMARC_REPORTS, "dmarc_reports") /* of others about domains here, that were counted */          \
    X(FAILED, "refused_other")                                                                       \
    X(NOTICES, "key_notices") /* of keys that end, to their readers */                               \
    X(TIMEOUTS, "timeouts")                                                                          \
    X(LOGINS, "submission_logins")                                                                   \
    X(LOGIN_FAILURES, "submission_login_failures")                                                   \
    X(QUEUED, "queued")                 /* messages for elsewhere, or held */                        \
    X(ENCRYPTED, "encrypted")           /* messages of people here, sealed to recipients */          \
    X(INTERNAL, "internal")             /* DSNs and held mail, delivered here */                     \
    X(SENDER, "refused_sender")         /* written as nobody's or another's */                       \
    X(FORWARDED, "forwarded")           /* to another address, as their account says */              \
    X(FORWARDS_KEPT, "forwards_kept")   /* that could not go there */                                \
    X(BOUNCES, "bounces")               /* of forwarded mail, to its senders */                      \
    X(SUPPRESSED, "refused_suppressed") /* recipients who bounced for good */                        \
    X(HELD, "refused_held")             /* their account is held, or their domain's limit reached */ \
    X(REPORTS, "feedback_reports")      /* to abuse@, whether they count or not */                   \
    X(PACED, "paced")                   /* messages and logins of accounts that had to wait */       \
    X(PACED_REFUSED, "paced_refused")   /* that waited in vain, or had too many sessions */          \
    X(JUDGED, "judged")                 /* messages from the world, by SPF, DKIM and DMARC */        \
    X(JUDGED_PASS, "judged_pass")       /* that pass DMARC */                                        \
    X(JUDGED_UNKNOWN, "judged_unknown") /* of which nobody could tell */                             \
    X(AUTH_REFUSED, "refused_auth")     /* by what was found */                                      \
    X(AUTH_JUNK, "junk")                /* put there by it */                                        \
    X(AUTH_DEFERRED, "deferred_auth")   /* until it can be told */                                   \
    X(GREYLISTED, "deferred_greylist")  /* who sent it is new here */                                \
    X(ANSWERS_FOUND, "names_found")     /* look-ups that asked nobody */                             \
    X(ANSWERS_ASKED, "names_asked")     /* that `resolver` was asked for */                          \
    X(ANSWERS_NOW, "names_kept_now")    /* answers */                                                \
    X(ANSWERS_WAITING_NOW, "names_waiting_now")                                                      \
    X(KEYS_SOUGHT, "keys_sought") /* of people elsewhere */                                          \
    X(KEYS_FOUND, "keys_found")                                                                      \
    X(KEYS_NOW, "keys_known_now") /* addresses of which it is known whether they have one */

#define ACCESS_COUNTERS(X)                                                                      \
    X(IMAP_LOGINS, "imap_logins")                                                               \
    X(IMAP_LOGIN_FAILURES, "imap_login_failures")                                               \
    X(IMAP_LOGINS_OVER_LIMIT, "imap_logins_over_limit") /* the account had too many sessions */ \
    X(IMAP_COMMANDS, "imap_commands")                                                           \
    X(IMAP_APPENDED, "imap_appended")                                                           \
    X(IMAP_FETCHED_BYTES, "imap_fetched_bytes")

#define WEB_COUNTERS(X)                                                                 \
    X(WEB_CONNECTIONS, "web_connections") /* since the start */                         \
    X(WEB_REQUESTS, "web_requests")                                                     \
    X(WEB_ANSWERS_2XX, "web_answers_2xx")                                               \
    X(WEB_ANSWERS_3XX, "web_answers_3xx")                                               \
    X(WEB_ANSWERS_4XX, "web_answers_4xx")                                               \
    X(WEB_ANSWERS_5XX, "web_answers_5xx")                                               \
    X(WEB_MALFORMED, "web_malformed") /* of 4xx: what was no request of HTTP */         \
    X(WEB_TIMEOUTS, "web_timeouts")                                                     \
    X(WEB_LOOKUPS, "web_lookups")                 /* of published certificates */       \
    X(WEB_LOOKUPS_REFUSED, "web_lookups_refused") /* their peer had made too many */    \
    X(WEB_UPLOADS, "web_uploads")                 /* certificates that were read */     \
    X(WEB_UPLOADS_REFUSED, "web_uploads_refused") /* of peers with too many */          \
    X(WEB_VERIFY_ASKED, "web_verify_asked")       /* words that ingest was asked for */ \
    X(WEB_VERIFY_FAILED, "web_verify_failed")     /* of these, with an error of ours */ \
    X(WEB_PUBLISHED, "web_published")             /* by such a word */                  \
    X(WEB_SIGNED_IN, "web_signed_in")             /* over HTTP, by their owners */      \
    X(WEB_SIGNIN_FAILED, "web_signin_failed")                                           \
    X(WEB_REGISTERED, "web_registered") /* passwords, with an invitation */

#define VAULT_COUNTERS(X)                           \
    X(REQUESTS, "requests")                         \
    X(GROUPS, "groups")                             \
    X(GROUPS_SPOILED, "groups-spoiled")             \
    X(COMMITS_FAILED, "commits-failed")             \
    X(COMMITS_UNKNOWN, "commits-unknown")           \
    X(DELIVERED, "delivered")                       \
    X(DUPLICATES, "duplicates")                     \
    X(DELIVERIES_SEEN, "deliveries-seen")           \
    X(GATE_REFUSED, "gate-refused")                 \
    X(REQUESTS_DENIED, "requests-denied")           \
    X(REFUSED_FULL, "refused-full")                 \
    X(DISK_FULL_NOW, "disk-full")                   \
    X(DISK_FREE_BYTES, "disk-free-bytes")           \
    X(DISK_RESERVE_BYTES, "disk-reserve-bytes")     \
    X(CLIENTS_BROKEN, "clients-broken")             \
    X(CLIENTS, "clients")                           \
    X(NOTICES, "notices")                           \
    X(BACKUPS, "backups")                           \
    X(QUEUE_MESSAGES, "queue-messages")             \
    X(ACCOUNTS_HELD, "accounts-held")               \
    X(ADDRESSES_SUPPRESSED, "addresses-suppressed") \
    X(COMPLAINTS, "complaints") /* that count */    \
    X(TLS_TALLIES, "tls-tallies")                   \
    X(STORE_MAP_BYTES, "store-map-bytes")           \
    X(STORE_USED_BYTES, "store-used-bytes")         \
    X(STORE_FREE_BYTES, "store-free-bytes")         \
    X(STORE_ENTRIES, "store-entries")               \
    X(STORE_SEQUENCE, "store-sequence")

#define GPG_COUNTERS(X)          \
    X(JUDGED, "judged")          \
    X(JUDGED_REFUSED, "refused") \
    X(SEALED, "sealed")          \
    X(SEAL_FAILED, "failed")     \
    X(SEALS_UNDER_WAY, "under_way")

#define RESOLVER_COUNTERS(X)                                                \
    X(DNS_QUESTIONS, "questions")                                           \
    X(DNS_LOOKUPS, "lookups") /* a name asked twice meanwhile is one */     \
    X(DNS_SERVFAIL, "servfail")                                             \
    X(DNS_BOGUS, "bogus")                                                   \
    X(DNS_TIMEOUTS, "timeouts")                                             \
    X(DNS_REFUSED, "refused_busy")                                          \
    X(DNS_CACHES, "caches") /* made: at the start, and for other servers */ \
    X(DNS_WAITING_NOW, "waiting_now")                                       \
    X(DNS_UNDER_WAY_NOW, "under_way_now")

#define FETCHER_COUNTERS(X)                                                   \
    X(FETCHES, "fetches")                                                     \
    X(FETCH_ANSWERS, "answers") /* of web servers, with whatever status */    \
    X(FETCH_DENIED, "denied")   /* not in the open Internet, or sent there */ \
    X(FETCH_LIMIT, "too_large")                                               \
    X(FETCH_TLS, "tls_failed")                                                \
    X(FETCH_TIMEOUTS, "timeouts")                                             \
    X(FETCH_FAILED, "failed") /* otherwise */                                 \
    X(FETCH_REFUSED, "refused_busy")                                          \
    X(FETCH_WAITING_NOW, "waiting_now")                                       \
    X(FETCH_UNDER_WAY_NOW, "under_way_now")

/* Of `relay`: recipients, if nothing else is said. */
#define RELAY_COUNTERS(X)                                                                        \
    X(SENT, "sent")                                                                              \
    X(DEFERRED, "deferred")                                                                      \
    X(FAILED, "failed")                                                                          \
    X(CONNECTIONS, "connections")                                                                \
    X(TLS, "connections_tls")                                                                    \
    X(TLS_FAILED, "connections_tls_failed")                                                      \
    X(REPORTS, "reports")                   /* DSNs */                                           \
    X(REPORTS_LOST, "reports_lost")         /* whose sender has no mailbox here any more */      \
    X(READ, "queue_reads")                  /* of all of it: at the start, and after a reload */ \
    X(SUPPRESSED, "suppressed")             /* that are no more, by the word of their servers */ \
    X(WRITES_AGAIN, "writes_again")         /* outcomes that the vault did not take at once */   \
    X(TALLIES_LOST, "tls_tallies_lost")     /* sessions that no TLS report counts */             \
    X(TLS_REPORTS, "tls_reports")           /* to other domains, sent or queued */               \
    X(TLS_REPORTS_LOST, "tls_reports_lost") /* given up */

/* What it has at the moment. */
#define RELAY_NOW_COUNTERS(X)                                        \
    X(RELAY_MESSAGES_NOW, "queue_messages_now") /* that are known */ \
    X(RELAY_READY_NOW, "queue_ready_now")                            \
    X(RELAY_CONNECTIONS_NOW, "connections_now")                      \
    X(RELAY_UNWRITTEN_NOW, "unwritten_now")                          \
    X(RELAY_PLAINTEXT_NOW, "relay_plaintext_bytes_now")              \
    X(RELAY_LISTED_NOW, "block_lists_now") /* a bit for each that has us */

#define COUNTER_SMTP_ENUM(id, name) COUNTER_SMTP_##id,
#define COUNTER_IMAP_ENUM(id, name) COUNTER_IMAP_##id,
#define COUNTER_WEB_ENUM(id, name) COUNTER_WEB_SERVICE_##id,
#define COUNTER_INGEST_ENUM(id, name) COUNTER_INGEST_##id,
#define COUNTER_VAULT_ENUM(id, name) COUNTER_VAULT_##id,
#define COUNTER_RELAY_ENUM(id, name) COUNTER_RELAY_##id,
#define COUNTER_ENUM(id, name) COUNTER_##id,
enum counter {
    SERVICE_COUNTERS(COUNTER_SMTP_ENUM) SERVICE_COUNTERS(COUNTER_IMAP_ENUM) INGEST_COUNTERS(COUNTER_INGEST_ENUM)
        ACCESS_COUNTERS(COUNTER_ENUM) VAULT_COUNTERS(COUNTER_VAULT_ENUM) GPG_COUNTERS(COUNTER_ENUM)
            RESOLVER_COUNTERS(COUNTER_ENUM) RELAY_COUNTERS(COUNTER_RELAY_ENUM) RELAY_NOW_COUNTERS(COUNTER_ENUM)
                FETCHER_COUNTERS(COUNTER_ENUM) SERVICE_COUNTERS(COUNTER_WEB_ENUM) WEB_COUNTERS(COUNTER_ENUM) COUNTERS
};
#define SERVICE_COUNTER_ENUM(id, name) SERVICE_##id,
enum service_counter { SERVICE_COUNTERS(SERVICE_COUNTER_ENUM) };

const char *counter_name(enum counter c); /* NULL: there is none of this number */

#endif
