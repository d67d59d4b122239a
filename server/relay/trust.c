#include "server/relay/trust.h"

#include "server/core/bug.h"

enum { ANY = -1 };

/* The first row that fits. */
static const struct rule {
    int mail, word, dane, sts;
    enum trust_demand demand;
} rules[] = {
    {ANY, TRUST_WORD_FINGERPRINT, ANY, ANY, TRUST_FINGERPRINT},
    {ANY, TRUST_WORD_VERIFY, ANY, ANY, TRUST_VERIFY},
    {ANY, TRUST_WORD_DANE, TRUST_DANE_USABLE, ANY, TRUST_DANE},
    {ANY, TRUST_WORD_DANE, TRUST_DANE_UNKNOWN, ANY, TRUST_UNKNOWN},
    {ANY, TRUST_WORD_DANE, ANY, ANY, TRUST_NO_PROOF},
    /* The operator may do without; a sender who asks for TLS is not overruled. */
    {QUEUE_TLS_USUAL, TRUST_WORD_MAY, ANY, ANY, TRUST_ANY},
    {QUEUE_TLS_OPTIONAL, ANY, ANY, ANY, TRUST_ANY}, /* RFC 8689 section 5 */
    {ANY, ANY, TRUST_DANE_USABLE, ANY, TRUST_DANE},
    {ANY, ANY, TRUST_DANE_UNKNOWN, ANY, TRUST_UNKNOWN}, /* RFC 7672 section 2.1.2: an attacker may have taken it */
    {ANY, ANY, ANY, TRUST_STS_ENFORCE, TRUST_STS},
    {ANY, ANY, ANY, TRUST_STS_OTHER, TRUST_NO_PROOF}, /* RFC 8461 section 5.1 */
    {QUEUE_TLS_REQUIRED, ANY, ANY, ANY, TRUST_REFUSED},
    {ANY, ANY, TRUST_DANE_UNUSABLE, ANY, TRUST_ENCRYPT}, /* RFC 7672 section 2.2 */
    {ANY, ANY, ANY, ANY, TRUST_ANY},
};

static bool fits(int want, int is)
{
    return want == ANY || want == is;
}

enum trust_demand trust_demand(const struct trust_facts *f)
{
    const struct rule *r = rules; /* the last one fits all */

    while (!fits(r->mail, f->mail) || !fits(r->word, f->word) || !fits(r->dane, f->dane) || !fits(r->sts, f->sts))
        r++;
    return r->demand;
}

static const struct {
    enum obstacle why; /* OBSTACLES: none */
    enum queue_proof proof;
} demands[TRUST_DEMANDS] = {
    [TRUST_ANY] = {OBSTACLES, QUEUE_PROOF_TLS},
    [TRUST_ENCRYPT] = {OBSTACLES, QUEUE_PROOF_TLS},
    [TRUST_DANE] = {OBSTACLES, QUEUE_PROOF_DANE},
    [TRUST_STS] = {OBSTACLES, QUEUE_PROOF_STS},
    [TRUST_VERIFY] = {OBSTACLES, QUEUE_PROOF_VERIFY},
    [TRUST_FINGERPRINT] = {OBSTACLES, QUEUE_PROOF_FINGERPRINT},
    [TRUST_UNKNOWN] = {OBSTACLE_NAMES, QUEUE_PROOF_NONE},
    [TRUST_NO_PROOF] = {OBSTACLE_TLS, QUEUE_PROOF_NONE},
    [TRUST_REFUSED] = {OBSTACLE_UNPROVED, QUEUE_PROOF_NONE},
};

bool trust_usable(enum trust_demand d)
{
    return demands[d].why == OBSTACLES;
}

enum obstacle trust_obstacle(enum trust_demand d)
{
    return demands[d].why;
}

enum queue_proof trust_proof(enum trust_demand d, bool tls)
{
    bug_if(!tls && d != TRUST_ANY);
    return tls ? demands[d].proof : QUEUE_PROOF_CLEAR;
}
