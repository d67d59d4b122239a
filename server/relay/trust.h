/* What TLS a host must prove before mail is sent to it. One table, without I/O. The operator's word comes first
 * (relay.policy), then DANE (RFC 7672), then MTA-STS (RFC 8461: section 2 has it never weaken DANE), then opportunistic
 * TLS (RFC 7435). REQUIRETLS (RFC 8689) takes nothing that proves less than one of them. */
#ifndef RELAY_TRUST_H
#define RELAY_TRUST_H

#include "server/relay/outcome.h"

/* relay.policy, or a smarthost that knows us by a password. */
enum trust_word { TRUST_WORD_NONE, TRUST_WORD_MAY, TRUST_WORD_DANE, TRUST_WORD_VERIFY, TRUST_WORD_FINGERPRINT };
/* What DNSSEC says of the host's TLSA records. */
enum trust_dane {
    TRUST_DANE_NONE,     /* there are none, or the way to them is not signed */
    TRUST_DANE_UNUSABLE, /* none of them can be used (RFC 7672 section 2.2) */
    TRUST_DANE_USABLE,
    TRUST_DANE_UNKNOWN, /* no answer, or a bogus one */
};
/* What the domain's policy says of the host. */
enum trust_sts {
    TRUST_STS_NONE,
    TRUST_STS_TESTING,
    TRUST_STS_ENFORCE,
    TRUST_STS_OTHER, /* enforced, and the host is none of its MX */
};
struct trust_facts {
    enum queue_tls mail;
    enum trust_word word;
    enum trust_dane dane;
    enum trust_sts sts;
};

enum trust_demand {
    TRUST_ANY,         /* TLS if it is offered, with any certificate; in the clear if not */
    TRUST_ENCRYPT,     /* TLS, with any certificate */
    TRUST_DANE,        /* a certificate that a TLSA record names */
    TRUST_STS,         /* one that an authority gave to the MX */
    TRUST_VERIFY,      /* one that an authority gave to the domain or the host */
    TRUST_FINGERPRINT, /* this key */
    /* The host is not used now: */
    TRUST_UNKNOWN,  /* nobody can say what it must prove */
    TRUST_NO_PROOF, /* it cannot prove what it must */
    TRUST_REFUSED,  /* REQUIRETLS, and nothing says how it could be known */
    TRUST_DEMANDS
};

enum trust_demand trust_demand(const struct trust_facts *f);
bool trust_usable(enum trust_demand d);          /* the host may be connected to */
enum obstacle trust_obstacle(enum trust_demand); /* why not */
/* How the host is known once a mail was sent by this demand. */
enum queue_proof trust_proof(enum trust_demand d, bool tls);

#endif
