/* What an account seals to when it writes to an address elsewhere: what is found there (strangers.h), held against what
 * it has seen (store/correspondent.h). Who has a domain in hand for an hour can move no account that seals always, to
 * neither another key nor the clear, and makes none forget. */
#ifndef INGEST_CORRESPONDENTS_H
#define INGEST_CORRESPONDENTS_H

#include "server/keys/known.h"

/* Besides errors; SUBMISSION_LATER (encrypt.h) is 1. */
enum {
    CORRESPONDENT_CHANGED = 110, /* another key is there, which is not followed */
    CORRESPONDENT_ENDED,         /* the one that is kept cannot be used, and there is none in its place */
    CORRESPONDENT_WAITS,         /* likewise, of an account that does not seal always: there may be one later */
    CORRESPONDENT_FULL           /* a key that is seen for the first time cannot be kept */
};

/* ---- the rule, without I/O ---- */

struct correspondent_case {
    struct correspondent *kept;    /* what stands there, and is made what shall; its address is filled in */
    bool any;                      /* something stands there */
    const struct known_key *found; /* NULL: nothing */
    enum known_from from;          /* of what is found */
    bool revoked;                  /* the owner of the key that is kept has revoked it: seen just now */
    bool unknown;                  /* whether there is something nobody can say */
    bool always;                   /* the account seals always, or sends nothing */
    bool bare;                     /* there is no room for certificates */
    uint64_t now;
};
enum correspondent_word {
    CORRESPONDENT_NOTHING, /* none was ever seen, nor is found */
    CORRESPONDENT_FOUND,   /* what is found is sealed to */
    CORRESPONDENT_OWN,     /* what is kept is */
    CORRESPONDENT_REFUSED  /* why says */
};
enum correspondent_write {
    CORRESPONDENT_STAYS,
    CORRESPONDENT_NOTES /* if it can be */,
    CORRESPONDENT_KEEPS /* first */
};
struct correspondent_ruling {
    enum correspondent_word word;
    enum correspondent_write write;
    int why; /* of REFUSED */
};
struct correspondent_ruling submission_correspondent_rule(const struct correspondent_case *c);

/* ---- asked in a session ---- */

struct submission;

/* A key on its way to the vault. */
struct keeping {
    uint64_t id;
    bool waits, bare;
    unsigned tries;
    int failed;
    void (*ready)(void *arg);
    void *arg;
};
/* err and *known: what was found. OK: *known is what is sealed to. ERR_NO_KEY: none was ever seen; ERR_UNKNOWN: now
 * nobody can say; those above; the view's errors. SUBMISSION_LATER: ready(arg) is called, from the loop, when all may
 * be asked again. */
int submission_correspondent(struct submission *s, const char *address, int err, struct known **known,
                             void (*ready)(void *arg), void *arg);
void submission_correspondent_reset(struct submission *s);

#endif
