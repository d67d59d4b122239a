/* Whose key an account has seen: one record for each address elsewhere that it writes to ('r'), so that another key is
 * noticed, whoever hands it out; and one for each whose mail brought a key along ('i', Autocrypt), which strangers can
 * write and which therefore never changes the other. */
#ifndef STORE_CORRESPONDENT_H
#define STORE_CORRESPONDENT_H

#include "store/records.h"

enum known_from {
    KNOWN_ACCOUNT = 1, /* current certificates of an account here: not kept */
    KNOWN_DNSSEC,      /* their domain has it, signed up to the root */
    KNOWN_DOMAIN,      /* their domain's web server has it */
    KNOWN_SERVER,      /* a key server has */
    KNOWN_AUTOCRYPT,   /* their mail had it */
    KNOWN_BY_HAND      /* the administrator named its fingerprint */
};

/* What became of a key that is used no more. */
enum correspondent_end {
    CORRESPONDENT_FOLLOWED = 1, /* another was found, and taken */
    CORRESPONDENT_OVERRULED,    /* by hand */
};

enum { CORRESPONDENT_KEPT = 'r', CORRESPONDENT_INCOMING = 'i' };
enum {
    CORRESPONDENTS_MAX = 10000, /* of an account; none ever makes room for another */
    CORRESPONDENT_OCTETS = 32 << 20,
    CORRESPONDENT_CERT_MAX = 10 * 1024, /* of a longer one, and past these octets, the fingerprint alone is kept */
    INCOMING_MAX = 2000,                /* past them one makes room that was not heard of for long, of some */
    CORRESPONDENT_PAST = 8,             /* keys before, the oldest of which goes */
    CORRESPONDENT_TOLD_EVERY = 86400,   /* seconds between two notices of one correspondent's keys */
    CORRESPONDENTS_TOLD_DAY = 10,       /* notices to an account, a day of UTC */
    CORRESPONDENT_SEEN = 24,            /* octets by which a record is known to be the one that was read */
};

struct correspondent_key {
    uint8_t from; /* enum known_from */
    uint8_t fpr_len;
    uint8_t fpr[PGP_FPR_MAX]; /* of the primary key */
    uint64_t since;           /* seconds since 1970 when it was seen first; 'i': the effective date of its mail */
};
struct correspondent {
    char address[ADDRESS_MAX]; /* in the one spelling of addresses here */
    struct correspondent_key key;
    uint64_t seen;                  /* last; to within a day. 'i': the date of the last mail from there */
    uint64_t told;                  /* of a change: when the account last had a notice; 0: never */
    bool revoked;                   /* its owner says so; it is used no more */
    bool mutual;                    /* 'i': the last mail asks for encrypted answers */
    struct correspondent_key other; /* that was found and not followed; fpr_len 0: none */
    uint32_t npast;
    struct {
        struct correspondent_key key;
        uint64_t until;
        uint8_t end;            /* enum correspondent_end */
    } past[CORRESPONDENT_PAST]; /* the newest first */
    uint32_t len;               /* 0: its fingerprint is all there is */
    struct pgp_verdict verdict; /* of the certificate, which is minimal */
    uint8_t cert[CORRESPONDENT_CERT_MAX];
};
enum { CORRESPONDENT_PACKED_MAX = 12 * 1024 - 1 };

/* How many there are: 'U'. */
struct correspondents {
    uint32_t kept, incoming;
    uint64_t octets; /* of the certificates of those that are kept */
    uint32_t day;    /* since 1970, of the last notice of a change */
    uint32_t told;   /* notices on it */
};

bool correspondent_same_key(const struct correspondent_key *a, const struct correspondent_key *b);
/* The key in use becomes one of the past, and the one that was not followed is of no interest any more. */
void correspondent_turn(struct correspondent *c, const struct correspondent_key *to, enum correspondent_end end,
                        uint64_t now);

/* As requests carry it and records hold it. ERR_LIMIT: it could not have been read. */
int correspondent_pack(const struct correspondent *c, uint8_t out[CORRESPONDENT_PACKED_MAX], size_t *ret_len);
/* ERR_FORMAT, ERR_VERSION; ret is of use if that is OK. */
int correspondent_unpack(const uint8_t *in, size_t len, struct correspondent *ret);

#endif
