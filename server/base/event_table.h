/* What can be said in the log: a row an event, as server/base/event.h says. docs/log.md says what each means. */
#ifndef BASE_EVENT_TABLE_H
#define BASE_EVENT_TABLE_H

/* Types of fields, and how they are shown. Besides these each table of words is one. */
#define EVENT_TYPES(TYPE)                                                                                    \
    TYPE(COUNT)  /* a number */                                                                              \
    TYPE(SIGNED) /* a number that may be below 0 */                                                          \
    TYPE(STATUS) /* of server/core/error.h: its phrase */                                                    \
    TYPE(ERRNO)  /* of errno, or of LMDB, which are below 0: the system's words and the name; 0 is "none" */ \
    TYPE(ROLE)   /* of enum role: its name; ROLES: unknown */                                                \
    TYPE(SIGNAL) /* its number and name */                                                                   \
    TYPE(OCTETS) /* rounded up to a power of two: the length of a mail says much about it */                 \
    TYPE(TLS)    /* event_tls(): version and cipher suite in IANA's numbers; 0: none */                      \
    TYPE(CODE)   /* a status code of RFC 3463: 5.1.1 is 50101; 0: none */                                    \
    TYPE(BUG)    /* of server/core/bug.h: file, line and condition */                                        \
    TYPE(HASH)   /* RAW: 16 octets, in hex; zeros: none */                                                   \
    TYPE(ID)     /* RAW: letters, digits and hyphens, at most EVENT_ID_MAX */                                \
    TYPE(TEXT)   /* RAW: at most EVENT_TEXT_MAX octets, tamed; in events of EVENT_NAMES alone */

/* EVENT(name, level, traits, fields): in the log the name has hyphens. A field is NUM(key, type) or RAW(key, type). */
/* The formatter would move every row for a longer one. */
/* clang-format off */
#define EVENT_TABLE(EVENT, NUM, RAW)                                                                        \
    /* any process */                                                                                       \
    EVENT(bug, ERROR, EVENT_EACH, NUM(place, BUG))                                                          \
    EVENT(log_dropped, WARN, EVENT_EACH, NUM(records, COUNT))                                               \
    EVENT(log_refused, WARN, EVENT_EACH, NUM(role, ROLE) NUM(instance, COUNT) NUM(packets, COUNT))          \
    EVENT(loop_says, DEBUG, 0, NUM(severity, COUNT))                                                        \
    EVENT(timer_failed, ERROR, 0, NUM(errno, ERRNO))                                                        \
    EVENT(watch_failed, ERROR, 0, NUM(errno, ERRNO))                                                        \
    EVENT(peer_does_not_answer, WARN, 0, NUM(peer, ROLE))                                                   \
    EVENT(peer_says, DEBUG, 0, NUM(peer, ROLE) NUM(status, STATUS))                                         \
    EVENT(out_of_memory, ERROR, 0, )                                                                        \
    /* a role's start and end */                                                                            \
    EVENT(start_failed, ERROR, 0, NUM(why, START) NUM(status, STATUS))                                      \
    EVENT(tls_unusable, ERROR, 0, NUM(status, STATUS))                                                      \
    EVENT(sandbox_refused, ERROR, 0, NUM(why, SANDBOX) NUM(errno, ERRNO) NUM(landlock, COUNT))              \
    EVENT(store_unreadable, ERROR, 0, NUM(status, STATUS))                                                  \
    EVENT(peers_uncounted, ERROR, 0, NUM(status, STATUS))                                                   \
    EVENT(role_ends, ERROR, 0, NUM(status, STATUS))                                                         \
    /* who serves clients */                                                                                \
    EVENT(accept_failed, WARN, 0, NUM(errno, ERRNO))                                                        \
    EVENT(pressure, WARN, 0,                                                                                \
          NUM(sessions, COUNT) NUM(octets, OCTETS) NUM(shed, COUNT) NUM(for_memory, COUNT) NUM(slow, COUNT))\
    EVENT(pressure_over, INFO, 0,                                                                           \
          NUM(sessions, COUNT) NUM(octets, OCTETS) NUM(shed, COUNT) NUM(for_memory, COUNT) NUM(slow, COUNT))\
    EVENT(session_refused, INFO, 0, )                                                                       \
    EVENT(login_failed, INFO, 0, )                                                                          \
    EVENT(login_unanswered, WARN, 0, )                                                                      \
    EVENT(tls_failed, INFO, 0, NUM(why, TLS_FAULT))                                                         \
    /* web: server/web */                                                                                 \
    EVENT(web_certificate, ERROR, 0, NUM(status, STATUS))                                                   \
    EVENT(web_failed, ERROR, 0, NUM(status, STATUS))                                                        \
    EVENT(web_answer, DEBUG, 0, NUM(reply, COUNT) NUM(octets, OCTETS) NUM(ms, COUNT))                       \
    /* mail from the world: server/ingest/transaction/report.h */                                                    \
    EVENT(mail, INFO, EVENT_EACH, NUM(at, STAGE) NUM(reason, REASON) NUM(reply, COUNT) NUM(status, CODE)    \
        NUM(octets, OCTETS) NUM(recipients, COUNT) NUM(tls, TLS) RAW(id, ID) RAW(salt, HASH)                \
        RAW(from, HASH) RAW(from_base, HASH) RAW(from_domain, HASH)                                         \
        RAW(to, HASH) RAW(to_base, HASH) RAW(to_account, HASH))                                             \
    EVENT(named_mail, INFO, EVENT_EACH | EVENT_NAMES, NUM(recipients, COUNT) RAW(id, ID) RAW(peer, TEXT)    \
        RAW(from, TEXT) RAW(to, TEXT))                                                                      \
    EVENT(session_ended, INFO, 0, NUM(reason, REASON) NUM(reply, COUNT) NUM(status, CODE))                  \
    EVENT(mail_untold, INFO, EVENT_EACH, NUM(lines, COUNT) NUM(seconds, COUNT))                             \
    EVENT(errors_slowed, INFO, EVENT_EACH,                                                                  \
          NUM(errors, COUNT) NUM(waits, COUNT) NUM(unseen, COUNT) NUM(seconds, COUNT))                      \
    EVENT(sending_slowed, WARN, EVENT_EACH,                                                                 \
          NUM(account, COUNT) NUM(waits, COUNT) NUM(refused, COUNT) NUM(seconds, COUNT))                    \
    EVENT(keys_not_approved, ERROR, 0, NUM(account, COUNT))                                                 \
    EVENT(address_not_approved, ERROR, 0, )                                                                 \
    EVENT(key_notice_failed, INFO, 0, NUM(step, NOTICE) NUM(status, STATUS))                                \
    EVENT(forwarded, INFO, EVENT_EACH, NUM(account, COUNT) NUM(how, FORWARD) RAW(id, ID))                    \
    EVENT(forward_kept, WARN, EVENT_EACH, NUM(account, COUNT) NUM(reason, REASON) RAW(id, ID))              \
    EVENT(encrypted, INFO, EVENT_EACH, NUM(recipients, COUNT) NUM(copies, COUNT) RAW(id, ID))               \
    /* mail that goes out: server/relay/report.h */                                                         \
    EVENT(outgoing, INFO, EVENT_EACH, NUM(fate, FATE) NUM(reply, COUNT) NUM(status, CODE) NUM(tries, COUNT) \
        NUM(seconds, COUNT) NUM(octets, OCTETS) NUM(tls, PROOF) RAW(id, ID) RAW(salt, HASH)                 \
        RAW(from, HASH) RAW(to, HASH) RAW(to_domain, HASH))                                                 \
    EVENT(named_outgoing, INFO, EVENT_EACH | EVENT_NAMES, NUM(tries, COUNT) RAW(id, ID) RAW(from, TEXT)     \
        RAW(to, TEXT) RAW(said, TEXT))                                                                       \
    EVENT(queue_damaged, ERROR, 0, NUM(status, STATUS))                                                     \
    EVENT(relay_roots, WARN, 0, NUM(errno, ERRNO))                                                          \
    EVENT(block_listed, WARN, EVENT_EACH, NUM(list, COUNT) NUM(ip, COUNT))                                  \
    EVENT(dnsbl_useless, WARN, 0, NUM(list, COUNT))                                                         \
    EVENT(block_list_over, INFO, EVENT_EACH, NUM(list, COUNT) NUM(ip, COUNT))                               \
    EVENT(sts_unreachable, INFO, 0, NUM(status, STATUS))                                                    \
    EVENT(tls_report_lost, INFO, 0, NUM(tries, COUNT) NUM(status, STATUS))                                  \
    EVENT(dkim_unreadable, ERROR, 0, NUM(keys, COUNT))                                                      \
    /* the store */                                                                                         \
    EVENT(store_failed, WARN, 0, NUM(errno, ERRNO))                                                         \
    EVENT(vault_no_store, ERROR, 0, NUM(why, STORE) NUM(status, STATUS) NUM(errno, ERRNO))                  \
    EVENT(vault_client_refused, ERROR, 0, NUM(peer, ROLE) NUM(status, STATUS))                              \
    EVENT(vault_client_dropped, WARN, 0, )                                                                  \
    EVENT(vault_client_broken, WARN, 0, NUM(type, COUNT))                                                   \
    EVENT(vault_request_denied, WARN, 0, NUM(peer, ROLE) NUM(type, COUNT))                                  \
    EVENT(vault_commit_failed, ERROR, 0, NUM(status, STATUS))                                               \
    EVENT(vault_commit_unknown, ERROR, 0, )                                                                 \
    EVENT(vault_commit_resolved, WARN, 0, NUM(applied, COUNT))                                              \
    EVENT(vault_engine_reopened, WARN, 0, )                                                                 \
    EVENT(store_full, ERROR, EVENT_EACH, NUM(free, COUNT) NUM(reserve, COUNT))                              \
    EVENT(store_has_room, WARN, EVENT_EACH, NUM(free, COUNT))                                               \
    EVENT(store_reserve_given_up, WARN, EVENT_EACH, NUM(bytes, COUNT))                                      \
    EVENT(account_held, WARN, EVENT_EACH, NUM(account, COUNT) NUM(why, HOLD))                               \
    EVENT(account_released, INFO, EVENT_EACH, NUM(account, COUNT))                                          \
    EVENT(complaint, WARN, EVENT_EACH, NUM(account, COUNT) NUM(day, COUNT))                                 \
    EVENT(vault_chore_failed, WARN, 0, NUM(status, STATUS))                                                 \
    /* names */                                                                                             \
    EVENT(dns_unusable, ERROR, 0, NUM(why, DNS) NUM(status, STATUS))                                        \
    EVENT(dns_bogus, WARN, 0, )                                                                             \
    EVENT(dns_refused, WARN, 0, )                                                                           \
    /* pages */                                                                                             \
    EVENT(fetch_roots, WARN, 0, NUM(errno, ERRNO))                                                          \
    EVENT(fetch_denied, WARN, 0, )                                                                          \
    EVENT(fetch_refused, WARN, 0, )                                                                         \
    /* gpg */                                                                                               \
    EVENT(gpg_seal_refused, WARN, 0, )                                                                      \
    EVENT(judge_no_home, ERROR, 0, NUM(errno, ERRNO))                                                       \
    EVENT(judgement_broken, ERROR, 0, NUM(signal, SIGNAL))
/* clang-format on */

/* Tables of words. A value is EVENT_TABLE_NAME: EVENT_STORE_OPEN. */
#define EVENT_WORD_TABLES(TABLE) \
    TABLE(DNS)                   \
    TABLE(FATE)                  \
    TABLE(FORWARD)               \
    TABLE(HOLD)                  \
    TABLE(NOTICE)                \
    TABLE(PROOF)                 \
    TABLE(REASON)                \
    TABLE(SANDBOX)               \
    TABLE(STAGE)                 \
    TABLE(START)                 \
    TABLE(STORE)                 \
    TABLE(TLS_FAULT)

#define EVENT_WORDS_DNS(WORD)                                                         \
    WORD(DNS, ANCHOR_FILE, "dns_anchor_file cannot be read")                          \
    WORD(DNS, LIBRARY, "libunbound cannot be set up")                                 \
    WORD(DNS, SERVERS, "libunbound does not take a server of dns_server or dns_stub") \
    WORD(DNS, ANCHORS, "dns_anchor_file has something that is no DS or DNSKEY record")

/* What became of a try to send a mail to a recipient. */
#define EVENT_WORDS_FATE(WORD)       \
    WORD(FATE, SENT, "sent")         \
    WORD(FATE, DEFERRED, "deferred") \
    WORD(FATE, FAILED, "failed")

/* How mail went on. */
#define EVENT_WORDS_FORWARD(WORD)                 \
    WORD(FORWARD, HERE, "here")                   \
    WORD(FORWARD, SEALED, "sealed")               \
    WORD(FORWARD, ENCRYPTED, "arrived-encrypted") \
    WORD(FORWARD, CLEAR, "clear")                 \
    WORD(FORWARD, BOUNCE, "bounce")

/* In the order of enum hold_why (store/sending.h). */
#define EVENT_WORDS_HOLD(WORD)                    \
    WORD(HOLD, NONE, "none")                      \
    WORD(HOLD, BY_HAND, "by-hand")                \
    WORD(HOLD, MESSAGES, "send_messages_day")     \
    WORD(HOLD, RECIPIENTS, "send_recipients_day") \
    WORD(HOLD, FIRST, "send_new_recipients_day")  \
    WORD(HOLD, COMPLAINTS, "complaints_day")

#define EVENT_WORDS_NOTICE(WORD)       \
    WORD(NOTICE, ACCOUNT, "account")   \
    WORD(NOTICE, DELIVERY, "delivery") \
    WORD(NOTICE, WALK, "walk")

/* How the server there was known: as enum queue_proof has them (store/queue.h). */
#define EVENT_WORDS_PROOF(WORD)   \
    WORD(PROOF, NONE, "none")     \
    WORD(PROOF, CLEAR, "clear")   \
    WORD(PROOF, TLS, "tls")       \
    WORD(PROOF, DANE, "dane")     \
    WORD(PROOF, STS, "mta-sts")   \
    WORD(PROOF, VERIFY, "verify") \
    WORD(PROOF, FINGERPRINT, "fingerprint")

/* What became of a mail, and why. */
#define EVENT_WORDS_REASON(WORD)                                                               \
    WORD(REASON, ACCEPTED, "accepted")                                                         \
    WORD(REASON, ABANDONED, "abandoned") /* by the sender */                                   \
    WORD(REASON, TIMEOUT, "timeout")                                                           \
    WORD(REASON, SHED, "shed") /* the server was full */                                       \
    WORD(REASON, STOPPING, "stopping")                                                         \
    WORD(REASON, ERRORS, "errors")       /* too many */                                        \
    WORD(REASON, MALFORMED, "malformed") /* address */                                         \
    WORD(REASON, SYNTAX, "syntax")                                                             \
    WORD(REASON, ORDER, "order") /* of commands */                                             \
    WORD(REASON, NON_ASCII, "non-ascii")                                                       \
    WORD(REASON, TOO_MANY, "too-many-recipients")                                              \
    WORD(REASON, TOO_LARGE, "too-large")                                                       \
    WORD(REASON, BARE, "bare-cr-or-lf")                                                        \
    WORD(REASON, LONG_LINE, "long-line")                                                       \
    WORD(REASON, NO_MEMORY, "no-memory") /* too much mail in flight */                         \
    WORD(REASON, NO_USER, "no-user")                                                           \
    WORD(REASON, RELAY, "relay")                                                               \
    WORD(REASON, NOT_OWN, "not-own-address") /* who has logged in may not */                   \
    WORD(REASON, REVOKED, "password-revoked")                                                  \
    WORD(REASON, SUPPRESSED, "suppressed") /* bounced for good lately */                       \
    WORD(REASON, HELD, "held")             /* account, or its domain's limit */                \
    WORD(REASON, HIDDEN, "hidden-address") /* stands for one that is sealed */                 \
    WORD(REASON, NO_KEY, "no-key")                                                             \
    WORD(REASON, UNAPPROVED, "not-approved") /* keys or address */                             \
    WORD(REASON, MAILBOX_FULL, "mailbox-full")                                                 \
    WORD(REASON, NO_ROOM, "no-room")                                                           \
    WORD(REASON, LOOP, "loop")                                                                 \
    WORD(REASON, UNKEEPABLE, "unkeepable")                                                     \
    WORD(REASON, JUNK, "junk")           /* accepted, into the mailbox for it */               \
    WORD(REASON, DMARC, "dmarc")         /* fails it, and the author's domain asks for that */ \
    WORD(REASON, NO_AUTHOR, "no-author") /* that all would read alike */                       \
    WORD(REASON, SPF, "spf")                                                                   \
    WORD(REASON, HELO, "helo")             /* no name, or ours */                              \
    WORD(REASON, LISTED, "listed")         /* its peer is on a block list */                   \
    WORD(REASON, GREYLISTED, "greylisted") /* who sent it is new here */                       \
    WORD(REASON, UNJUDGED, "unjudged")     /* names do not resolve now */                      \
    WORD(REASON, DEFERRED, "deferred")     /* something failed for the moment */               \
    WORD(REASON, OTHER, "other")

/* How far a mail came: the command that was refused, the content, or its end. */
#define EVENT_WORDS_STAGE(WORD)    \
    WORD(STAGE, SENDER, "mail")    \
    WORD(STAGE, RECIPIENT, "rcpt") \
    WORD(STAGE, CONTENT, "data")   \
    WORD(STAGE, END, "end")

#define EVENT_WORDS_SANDBOX(WORD)                                                                \
    WORD(SANDBOX, LANDLOCK,                                                                      \
         "the kernel's Landlock is too old: ABI 2 is needed (Linux 5.19, landlock in lsm=); "    \
         "allow_no_landlock = yes runs without")                                                 \
    WORD(SANDBOX, THREAD, "a thread exists already")                                             \
    WORD(SANDBOX, RULESET, "the kernel refused a Landlock ruleset")                              \
    WORD(SANDBOX, RULE, "no Landlock rule can be made")                                          \
    WORD(SANDBOX, RULE_WRITE, "no Landlock rule can be made for the folder that may be written") \
    WORD(SANDBOX, RULE_READ, "no Landlock rule can be made for the folder that may be read")     \
    WORD(SANDBOX, GIVE, "the directory cannot be given to the role's uid")                       \
    WORD(SANDBOX, LIMITS, "resource limits cannot be lowered")                                   \
    WORD(SANDBOX, UID, "the role's uid cannot be taken")                                         \
    WORD(SANDBOX, CAPABILITIES, "capabilities cannot be dropped")                                \
    WORD(SANDBOX, PRIVILEGES, "no_new_privs cannot be set")                                      \
    WORD(SANDBOX, DOMAIN, "the kernel refused to enter the Landlock domain")                     \
    WORD(SANDBOX, SECCOMP, "the seccomp filter cannot be loaded")                                \
    WORD(SANDBOX, DEV_NULL, "/dev/null cannot be opened")

#define EVENT_WORDS_START(WORD)                                                \
    WORD(START, CONFIGURATION, "the configuration from master does not parse") \
    WORD(START, NO_CONFIGURATION, "no configuration came before GO")           \
    WORD(START, MESSAGE, "a message from master cannot be used")               \
    WORD(START, NO_RECORD_KEYS, "no record keys came")

#define EVENT_WORDS_STORE(WORD)                                                                             \
    WORD(STORE, NO_KEY, "no record keys came")                                                              \
    WORD(STORE, MEMORY, "out of memory")                                                                    \
    WORD(STORE, OPEN, "the store cannot be opened")                                                         \
    WORD(STORE, NEWER, "a newer version wrote the store: use that one")                                     \
    WORD(STORE, WRONG_KEY, "the store key is not this store's")                                             \
    WORD(STORE, OWNER, "the store's files cannot be given to the vault's user")                             \
    WORD(STORE, OLD, "a version from before the first release wrote the store: none but that one reads it") \
    WORD(STORE, UPGRADE, "an older version wrote the store: run letterlock upgrade")

/* In the order of enum tls_fault (server/base/tls.h). */
#define EVENT_WORDS_TLS_FAULT(WORD)                \
    WORD(TLS_FAULT, NONE, "none")                  \
    WORD(TLS_FAULT, NO_TLS, "what-came-is-no-tls") \
    WORD(TLS_FAULT, VERSION, "no-common-version")  \
    WORD(TLS_FAULT, CIPHER, "no-common-cipher")    \
    WORD(TLS_FAULT, ALPN, "another-protocol")      \
    WORD(TLS_FAULT, ALERT, "refused-by-the-peer")  \
    WORD(TLS_FAULT, ENDED, "peer-went-away")       \
    WORD(TLS_FAULT, TIMEOUT, "timeout")            \
    WORD(TLS_FAULT, OTHER, "other")

#endif
