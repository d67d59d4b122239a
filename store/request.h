/* What clients ask of the vault, over ipc: every request and every reply has one shape here and one description in
 * request.c, which packs and unpacks it. docs/ipc.md shows them as a table. A request has an id and gets exactly one
 * reply: u32 status (a negated ERR_), str text (for people, may be empty), then what its type says. Each value is
 * checked against its bounds in both directions. */
#ifndef STORE_REQUEST_H
#define STORE_REQUEST_H

#include "store/complaint.h"
#include "store/contact.h"
#include "store/correspondent.h"
#include "store/dmarc_day.h"
#include "store/published.h"
#include "store/records.h"
#include "store/signin.h"

enum vault_msg {
    /* A sealed message; descriptor: its parcel. With a delivery id it may be asked twice. ERR_CONFLICT: the account's
     * policy is another. Reply: delivered. */
    VAULT_DELIVER = 1,
    VAULT_STORE_FLAGS,       /* Reply: flags */
    VAULT_COPY,              /* from .mailbox. Reply: copied */
    VAULT_EXPUNGE,           /* Reply: expunged */
    VAULT_MAILBOX_CREATE,    /* Parents are made as well. Reply: made */
    VAULT_MAILBOX_DELETE,    /* Reply: empty */
    VAULT_MAILBOX_RENAME,    /* Children move along; INBOX: its messages move to a new mailbox. Reply: empty */
    VAULT_MAILBOX_SUBSCRIBE, /* by name; off: also of a mailbox that is gone. Reply: empty */
    /* As VAULT_DELIVER; the message that deliver.replaced names goes in the same commit, and ERR_NOT_FOUND says also
     * that it is not there. */
    VAULT_REPLACE,
    /* As VAULT_DELIVER without a delivery id; deliver.notice is noted with the key in the same commit. If it is noted
     * already, the reply says duplicate and nothing is stored. ERR_CONFLICT also: the account's keys have changed since
     * keys_version, or the events have not happened. */
    VAULT_KEY_NOTICE,
    /* Deliveries whose senders have shown that they read the answer: their ids are forgotten. Rides in the next commit,
     * before everything that waits for it, or within some seconds in one of its own. May be asked twice; ids that are
     * not there are no error. Reply: empty */
    VAULT_DELIVERED_SEEN,
    VAULT_COPY_UNDO, /* takes back a copy in pieces, so much at a time. Reply: more */
    /* A message on its way out (store/queue.h), with all that is about it, in one commit; descriptor: its parcel, which
     * has packets alone. May be asked twice: a known id is a duplicate, and nothing is stored or counted. ERR_FULL: the
     * queue is, or the disk. Reply: queued */
    VAULT_QUEUE_ADD,
    /* Its records, all or nothing: each is named with the nonce that was seen. ERR_CONFLICT: it is another by now;
     * ERR_NOT_FOUND: it is gone. With its last recipient the message goes, in the same commit. May be asked twice: what
     * stands there as asked is done. Reply: unqueued */
    VAULT_QUEUE_UPDATE,
    /* Somebody complained about a message of the account (store/complaint.h). May be asked twice. Reply: complained */
    VAULT_COMPLAINT,
    /* What an account knows of an address that it writes to, or has mail from (store/correspondent.h). May be asked
     * twice. ERR_CONFLICT: another record is there than was seen; ERR_DENIED: what is kept would be forgotten, or the
     * administrator's word undone; ERR_FULL: there are too many; ERR_QUOTA: their certificates are too much. */
    VAULT_CORRESPONDENT_PUT,
    /* What others report of mail in a domain's name (store/dmarc_day.h). May be asked twice. ERR_NOT_FOUND: the domain
     * is not ours; ERR_REFUSED: the report is of a day too long ago, or to come. Reply: complained */
    VAULT_DMARC_REPORT,

    /* The administrator's. Reply: empty, if nothing else is said. What changes certificates or says where mail goes
     * comes with an approval; ERR_UNAPPROVED: that is not one of what would then stand in the store. */
    /* With its mailboxes and first key; descriptor: the certificate. The account's number is the one that comes next:
     * it is in what was approved. ERR_OVERRUN: it is another. Reply: account */
    VAULT_ACCOUNT_ADD = 50,
    VAULT_ACCOUNT_REMOVE, /* all of it goes, the addresses first */
    VAULT_ACCOUNT_SET,    /* policy, quota and the form of seals */
    VAULT_ADDRESS_ADD,    /* an alias or a catch-all ("@domain"); the account's own, whose record is lost, damaged or
                           * not approved (ERR_DENIED: it is not its own; ERR_EXISTS: it is approved for another) */
    VAULT_ADDRESS_REMOVE, /* not a primary one */
    VAULT_DOMAIN_ADD,
    VAULT_DOMAIN_REMOVE,
    VAULT_KEY_ADD,             /* current from now on, others stay as they are; a known fingerprint is renewed.
                                * Descriptor: the certificate, and the notice (vault_key_told). Refused: not
                                * told to the other current keys (ERR_REFUSED), a revoked one (ERR_DENIED), an
                                * older copy (ERR_CONFLICT), one that no engine
                                * seals to together with a current one (ERR_UNSUPPORTED) */
    VAULT_KEY_RETIRE,          /* the last current key is refused (ERR_CONFLICT) */
    VAULT_APP_PASSWORD_ADD,    /* Reply: number */
    VAULT_APP_PASSWORD_REVOKE, /* by its number */
    VAULT_BACKUP,              /* descriptor: an empty file open for writing. Reply when the copy is synced: bytes */
    VAULT_STAT,                /* Reply: stats */
    VAULT_RESTORED,            /* after a restore, before anything is served: every mailbox of every account gets a
                                * larger UIDVALIDITY */
    VAULT_KEY_REVOKED,         /* never current again; the last current key too: mail then waits at its senders.
                                * Descriptor: the certificate with its revocation */
    VAULT_KEY_CURRENT,     /* a retired key seals again. Descriptor: the notice, or none. Refused: as VAULT_KEY_ADD */
    VAULT_KEY_ENC_REVOKED, /* its encryption key is revoked; the last current key too */
    VAULT_UPGRADE,         /* the next commit of the next step (store/upgrade.h). A vault on a store that is not up
                                * to date does nothing else, but for copies and counts. Reply: upgraded */

    VAULT_DKIM_PUT, /* a key that signs what goes out */
    VAULT_DKIM_DEL, /* one that is not there is no error */
    /* An account sends nothing any more, nor does what it has in the queue; or does again, and what it had sent is
     * forgotten. One that is so already is no error. */
    VAULT_ACCOUNT_HOLD,
    /* An address that bounced for good (store/suppression.h); ERR_FULL: there are too many. One to be taken out that is
     * not there is no error. */
    VAULT_SUPPRESS_PUT,
    VAULT_SUPPRESS_DEL,
    /* A domain's MTA-STS policy (store/sts_policy.h). ERR_CONFLICT: another one is there than was seen; ERR_FULL: there
     * are too many. One to be taken out that is not there is no error. */
    VAULT_STS_PUT,
    VAULT_STS_DEL,
    /* How TLS went with a domain (store/tls_tally.h), likewise. */
    VAULT_TALLY_PUT,
    VAULT_TALLY_DEL,
    /* What is published for an address (store/published.h); an empty certificate withdraws it. What is so already is no
     * error and no change. ERR_NOT_FOUND: the address is nobody's here; ERR_DENIED: its account does not want to be
     * found, or has no such certificate; ERR_REFUSED: the certificate is not fit, or not of this address. */
    VAULT_KEY_PUBLISH,
    /* A certificate that somebody sent in for an address (store/upload.h) waits for the word of whoever has the
     * mailbox. Refused as VAULT_KEY_PUBLISH, and: ERR_CONFLICT, it is so published already, or would take a revocation
     * back; ERR_QUOTA, the address has had as many as it may today; ERR_FULL, so have all.
     * Reply: token */
    VAULT_UPLOAD_ADD,
    /* The word: what waits under this token is published, by what is right by now. ERR_NOT_FOUND: nothing does. Reply:
     * empty */
    VAULT_UPLOAD_CONFIRM,
    VAULT_CORRESPONDENT_DEL, /* one that is not there is no error */

    /* Signing in (store/signin.h). What is registered for an account, with what is wrapped under it; descriptor: the
     * envelopes, the password's first (none: no descriptor). Sessions of before are over. May be asked twice.
     * ERR_CONFLICT: another record is there than was seen; ERR_DENIED: neither signed by its holder nor invited.
     * Reply: signed_in, the record's version */
    VAULT_SIGNIN_SET,
    /* An envelope takes the place of the one of its kind and id; without octets none does. ERR_LIMIT: there are too
     * many; ERR_NOT_FOUND: nothing is registered; else as above. */
    VAULT_WRAPPED_PUT,
    /* May be asked twice. ERR_CONFLICT: the record is of another version by now. Reply: number */
    VAULT_SESSION_ADD,
    VAULT_SESSION_USED, /* ERR_NOT_FOUND: it is over */
    VAULT_SESSION_DEL,  /* this one, all, or all others. ERR_NOT_FOUND: there is no such one */
    /* By the owner of a session, as are FACTOR_DEL and APP_PASSWORD_, unless the administrator asks. ERR_DENIED: it is
     * over; ERR_EXISTS: there is one with this secret. Reply: number */
    VAULT_FACTOR_PUT,
    VAULT_FACTOR_DEL,
    /* A code, or a passkey's answer, that was right: it is good once. ERR_DENIED: it was used before. */
    VAULT_FACTOR_USED,
    VAULT_INVITE_PUT, /* of an account, instead of the one that it has. ERR_FULL: there are too many */
    VAULT_INVITE_DEL, /* of an account. ERR_NOT_FOUND: it has none */

    VAULT_REPLY = 200,
    /* Vault to clients, id 0, after a commit: changes. To `relay` of the queue alone, but for its own: account 1,
     * modseq the id of the message that came or was changed (0: a key that signs; VAULT_RELEASED: an account that was
     * held). To the others of accounts alone. Without a change, the first word on a channel: from now on all is told,
     * and what was before may have gone untold. */
    VAULT_NOTICE,
    VAULT_FULL, /* likewise, when the disk becomes nearly full or is so no more: full. What grows is refused then */
};

/* Messages that one set may meet (a reply must fit into one message), ranges that may name them, in any order, and rows
 * of one notice. */
enum {
    VAULT_SET_MAX = 2048,
    VAULT_RANGES_MAX = 4096,
    VAULT_CHANGES_MAX = 2000,
    VAULT_SEEN_MAX = 512, /* rows of one VAULT_DELIVERED_SEEN */
    VAULT_STATS_MAX = 64,
    VAULT_STAT_NAME_MAX = 64,
    VAULT_QUEUE_ROWS_MAX = 1024, /* of one VAULT_QUEUE_ */
    VAULT_STEP_MAX = 200         /* octets of the words about a step of upgrades */
};
enum {
    VAULT_POLICY_KEEP = 255,
    VAULT_SEAL_V2_KEEP = 255,
    VAULT_ENCRYPT_KEEP = 255,
    VAULT_PUBLISH_KEEP = 255,
    VAULT_AUTOCRYPT_KEEP = 255,
    VAULT_KEY_CHANGES_KEEP = 255
};
#define VAULT_QUOTA_KEEP UINT64_MAX
#define VAULT_RELEASED UINT64_MAX
#define VAULT_UNCHANGEDSINCE_NONE UINT64_MAX

enum { VAULT_KEYWORDS_MAX = 128 /* in one request */ };
struct vault_keywords {
    uint32_t n;
    struct slice v[VAULT_KEYWORDS_MAX];
};
struct uid_range {
    _Alignas(uint64_t) uint32_t first; /* rows of any list may stand in their place */
    uint32_t last;
};
struct vault_set {
    uint32_t n;
    const struct uid_range *v; /* in any order; a zero or an end before its beginning is the request's ERR_FORMAT */
};

struct vault_deliver {
    uint8_t kind, policy;               /* enum message_kind; enum header_policy, and POLICY_DISPLAY */
    int64_t internaldate;               /* seconds since 1970, from DATE_FIRST to DATE_LAST (server/mail/date.h) */
    uint8_t delivery[RECORD_HASH_SIZE]; /* zeros: none */
    uint8_t thread[RECORD_HASH_SIZE], own_id[RECORD_HASH_SIZE];
    uint32_t expiry_hour; /* 0: never */
    uint64_t flags;       /* system flags */
    struct vault_keywords keywords;
    uint8_t contact[CONTACT_WHO]; /* who wrote it, noted with it (store/contact.h); zeros: nobody */
    uint32_t nfeatures;
    uint64_t features[MESSAGE_FEATURES_MAX]; /* of struct schema_message */
    struct {
        uint32_t mailbox, uid;
    } replaced; /* VAULT_REPLACE */
    struct {
        struct slice fpr;      /* of the primary key */
        uint8_t events;        /* a set of enum key_event */
        uint32_t keys_version; /* of the account */
    } notice;                  /* VAULT_KEY_NOTICE */
};
/* Whether it may be asked twice. */
bool vault_deliver_has_id(const struct vault_deliver *d);

struct vault_seen_row {
    uint64_t account;
    uint8_t delivery[RECORD_HASH_SIZE];
};
struct vault_seen {
    uint32_t n;
    const struct vault_seen_row *v;
};

/* A record of the queue, sealed by who sends it. */
struct vault_queue_row {
    _Alignas(uint64_t) uint32_t n; /* the recipient's number; rows go up */
    uint32_t len;                  /* 0: it goes (UPDATE) */
    const uint8_t *record;
    const uint8_t *seen; /* UPDATE: QUEUE_SEEN_SIZE octets */
    const uint8_t *whom; /* ADD: SENDING_WHOM octets (store/sending.h); zeros, or NULL: it does not count */
};
struct vault_queue_add {
    uint64_t id;      /* 1 to 2^62-1 */
    uint64_t account; /* whose sending it counts as (store/sending.h); 0: nobody's */
    bool counts;      /* as a message: one submission may become several */
    bool forwarded;   /* strangers' mail: past its share of the limits it is not taken, and nobody is held for it */
    struct slice envelope;
    uint32_t n; /* at least one */
    const struct vault_queue_row *v;
};
struct vault_sts {
    uint8_t hash[RECORD_HASH_SIZE];
    struct slice record; /* PUT */
    const uint8_t *seen; /* QUEUE_SEEN_SIZE octets, of the one that it replaces; NULL if there is none */
};
struct vault_queue_update {
    uint64_t id;
    const uint8_t *seen;   /* of the envelope; NULL if there is none */
    struct slice envelope; /* the new one; empty: it stays */
    uint32_t n;
    const struct vault_queue_row *v;
};
struct vault_correspondent {
    uint8_t kind;        /* CORRESPONDENT_KEPT, CORRESPONDENT_INCOMING */
    const uint8_t *seen; /* PUT: CORRESPONDENT_SEEN octets, of the record that it replaces; NULL if there is none */
    struct slice record; /* PUT: correspondent_pack; DEL: the address, in its one spelling */
};
struct vault_publish {
    struct slice address, cert;
    uint8_t why; /* enum publish_why; KEY_PUBLISH alone, which knows no PUBLISH_VERIFIED */
};
struct vault_dkim {
    uint8_t hash[RECORD_HASH_SIZE];
    struct slice record; /* PUT */
};

enum vault_flags_op { VAULT_FLAGS_SET, VAULT_FLAGS_ADD, VAULT_FLAGS_REMOVE };
struct vault_flags {
    uint8_t op;
    uint64_t flags; /* system flags */
    struct vault_keywords keywords;
    uint64_t unchangedsince; /* RFC 7162 section 3.1.3; or VAULT_UNCHANGEDSINCE_NONE */
    struct vault_set set;
};
/* A copy of more messages than one request takes goes in pieces under one number, which the client draws at random.
 * What comes to no end (VAULT_COPY_UNDO, or the client's or the vault's end) is taken back. A move is one of its
 * messages at a time, so each request is whole. */
enum vault_piece { VAULT_PIECE_WHOLE, VAULT_PIECE_FIRST, VAULT_PIECE_MORE, VAULT_PIECE_LAST };
struct vault_copy {
    uint32_t to;
    bool move;
    struct vault_set set;
    uint8_t piece;   /* enum vault_piece */
    uint64_t number; /* of the copy; WHOLE: 0. COPY_UNDO: this alone */
    uint32_t least;  /* messages that must be there, else ERR_CONFLICT and nothing is done */
};
struct vault_expunge {
    bool only_deleted;
    struct vault_set set;
};
struct vault_mailbox {
    struct slice name; /* CREATE, RENAME, SUBSCRIBE */
    uint8_t use;       /* CREATE: a set of USE_ */
    bool on;           /* SUBSCRIBE */
};
struct vault_account {
    struct slice address; /* ADD, and so are trial, verdict and cert_len */
    uint8_t policy;       /* SET: VAULT_POLICY_KEEP keeps it */
    uint64_t quota;       /* SET: VAULT_QUOTA_KEEP keeps it */
    uint8_t seal_v2;      /* SET: enum seal_v2, or VAULT_SEAL_V2_KEEP */
    uint8_t encrypt;      /* SET: enum encrypt, or VAULT_ENCRYPT_KEEP */
    bool forwards;        /* SET: the next two are new; else they are kept */
    uint8_t forward_how;  /* enum forward_how */
    struct slice forward; /* empty: nowhere */
    uint8_t publish;      /* whether it wants to be found: 0, 1; SET: or VAULT_PUBLISH_KEEP */
    uint8_t autocrypt;    /* whether what it sends brings its certificate along: likewise */
    uint8_t key_changes;  /* SET: whether it is told of correspondents' other keys: likewise */
    bool trial;
    struct pgp_verdict verdict;
    uint32_t cert_len;
};
struct vault_name {
    struct slice text; /* an address or a domain */
    uint8_t kind;      /* ADDRESS_ADD: enum address_kind */
};
/* Whether the account's other current keys are told of a key that becomes current (key_must_be_told), by a sealed
 * notice whose parcel stands behind the certificate in the descriptor. It goes to INBOX in the same commit. */
enum vault_told { VAULT_TOLD_NOBODY, VAULT_TOLD };
struct vault_key_told {
    uint8_t how;    /* enum vault_told; NOBODY leaves the rest zeros */
    uint8_t policy; /* as of VAULT_DELIVER, and so is the rest */
    int64_t date;
    uint8_t thread[RECORD_HASH_SIZE], own_id[RECORD_HASH_SIZE];
};
struct vault_key {
    struct slice fpr;           /* of the primary key; not KEY_ADD, whose verdict says it */
    struct pgp_verdict verdict; /* KEY_ADD */
    uint32_t cert_len;          /* KEY_ADD, KEY_REVOKED */
    struct vault_key_told told; /* KEY_ADD, KEY_CURRENT */
};
struct vault_signin {
    uint8_t proof;                         /* enum signin_proof */
    uint8_t secret[SIGNIN_SIGNATURE_SIZE]; /* the signature, or the invitation's token and zeros */
    uint32_t serial;                       /* of the record that was seen; 0: there is none */
    uint8_t profile, record[OPAQUE_RECORD_SIZE], password_key[SIGNIN_KEY_SIZE], phrase_key[SIGNIN_KEY_SIZE]; /* SET */
    uint8_t kind, id[WRAPPED_ID_SIZE];                                                                       /* PUT */
    uint32_t password_len /* PUT: the envelope's */, phrase_len; /* of the envelopes; 0: there is none */
};
struct vault_session {
    uint8_t hash[RECORD_HASH_SIZE]; /* session_hash */
    uint32_t version;
    uint8_t how;
    uint64_t until;
    struct slice label;
    uint8_t which; /* DEL: enum session_which */
    uint32_t number;
};
struct vault_factor {               /* beside session.hash: */
    struct slice record;            /* PUT: factor_pack */
    uint32_t number;                /* DEL, USED */
    uint8_t kind;                   /* USED */
    uint64_t value;                 /* USED: TOTP's step, a passkey's counter */
    uint8_t code[RECORD_HASH_SIZE]; /* USED: factor_code_hash */
};
struct vault_invite {
    uint8_t hash[RECORD_HASH_SIZE]; /* invitation_hash */
    uint64_t until;
    uint32_t uses;
    bool reset;
};
struct vault_app_password {
    uint8_t hash[RECORD_HASH_SIZE], scope, stored_key[32], server_key[32];
    struct slice label;
    uint32_t number; /* REVOKE, which takes the account and the session alone */
};

/* What the command line has approved (store/approve.h); of what needs none, zeros. */
struct vault_approval {
    uint32_t keys_version;          /* of the account, before; has it moved, the answer is ERR_OVERRUN: read again */
    uint8_t keys[APPROVAL_SIZE];    /* of its certificates as they are to be: KEY_, ACCOUNT_ADD, ACCOUNT_SET */
    uint8_t address[APPROVAL_SIZE]; /* ACCOUNT_ADD, ADDRESS_ADD */
};

struct vault_request {
    enum vault_msg type;
    uint64_t account;
    uint32_t mailbox;
    struct vault_approval approval;
    union {
        struct vault_deliver deliver; /* REPLACE and KEY_NOTICE too */
        struct vault_seen seen;
        struct vault_flags flags;
        struct vault_copy copy; /* COPY_UNDO too */
        struct vault_expunge expunge;
        struct vault_mailbox box;           /* MAILBOX_ */
        struct vault_account new;           /* ACCOUNT_ADD, ACCOUNT_SET */
        struct vault_name name;             /* ADDRESS_, DOMAIN_ */
        struct vault_key key;               /* KEY_ */
        struct vault_app_password password; /* APP_PASSWORD_ */
        struct vault_factor factor;         /* FACTOR_ */
        struct vault_queue_add queue_add;
        struct vault_queue_update queue_update;
        struct vault_dkim dkim, suppress; /* DKIM_; SUPPRESS_ */
        bool hold;                        /* ACCOUNT_HOLD */
        uint8_t complaint[COMPLAINT_MESSAGE];
        struct vault_correspondent correspondent; /* CORRESPONDENT_ */
        struct dmarc_told dmarc;                  /* DMARC_REPORT */
        struct vault_sts sts, tally;              /* STS_; TALLY_ */
        struct vault_publish publish;             /* KEY_PUBLISH, UPLOAD_ADD */
        uint8_t token[UPLOAD_TOKEN_SIZE];         /* UPLOAD_CONFIRM */
        struct vault_signin signin;               /* SIGNIN_SET, WRAPPED_PUT */
        struct vault_invite invite;               /* INVITE_ */
    };
    struct vault_session session; /* SESSION_; the hash alone: FACTOR_, APP_PASSWORD_, zeros for the administrator */
};

struct vault_flags_row {
    uint32_t uid;
    uint64_t flags /* system flags */, modseq;
};
struct vault_copied_row {
    uint32_t from, to;
};
struct vault_stat {
    struct slice name;
    uint64_t value;
};
struct vault_change {
    uint64_t account;
    uint32_t mailbox; /* 0: the account as a whole */
    uint64_t modseq;
    uint32_t exists;
};
struct vault_reply {
    union {
        struct {
            bool duplicate;
            uint32_t uidvalidity, uid;
            uint64_t message, modseq;
        } delivered;
        struct {
            uint64_t modseq;
            uint32_t nchanged, nfailed;
            const struct vault_flags_row *changed;
            const uint32_t *failed; /* UIDs not done because of unchangedsince */
        } flags;
        struct {
            uint32_t uidvalidity; /* of the mailbox copied to */
            uint64_t modseq;      /* of the one copied from */
            uint32_t n;
            const struct vault_copied_row *v;
        } copied;
        struct {
            uint64_t modseq;
            uint32_t n;
            const uint32_t *uids;
        } expunged;
        struct {
            uint32_t mailbox, uidvalidity;
        } made;
        uint64_t account, bytes;
        bool full;
        uint32_t number, version;
        bool more; /* COPY_UNDO: of it is left */
        struct {
            bool duplicate;  /* it was there */
            uint8_t verdict; /* enum sending_verdict; but for TAKEN nothing is stored */
        } queued;
        uint8_t token[UPLOAD_TOKEN_SIZE];
        bool gone;      /* QUEUE_UPDATE: the message is */
        bool duplicate; /* COMPLAINT, DMARC_REPORT: it was counted already */
        struct {
            uint32_t done, steps; /* the last step done, the newest there is */
            bool more;
            struct slice what; /* of the step at work, or just ended; "": nothing was to do */
        } upgraded;
        struct {
            uint32_t n;
            const struct vault_stat *v;
        } stats;
        struct {
            uint32_t n;
            const struct vault_change *v;
        } changes;
    };
};

/* Appends the payload; p->failed if it does not fit or a value is out of bounds. */
void vault_request_pack(struct pack *p, const struct vault_request *q);
/* The payload exactly, or ERR_FORMAT (an unknown type too). Slices point into it, rows into room, which has
 * VAULT_ROOM(len) ranges; both are the caller's and must stay. */
#define VAULT_ROOM(len) ((len) / sizeof(struct uid_range) + 1)
int vault_request_unpack(enum vault_msg type, struct slice payload, struct uid_range *room, struct vault_request *ret);
/* The body of the reply to a request of this type, or of a VAULT_NOTICE or VAULT_FULL. */
void vault_reply_pack(struct pack *p, enum vault_msg type, const struct vault_reply *r);
/* The rest of body exactly, or ERR_FORMAT. Lists stand in memory that the next call takes. */
int vault_reply_unpack(enum vault_msg type, struct unpack *body, struct vault_reply *ret);

#endif
