/* What strangers' servers answer when a certificate is looked for. Input: an octet (1: every source, 2: HKP and not
 * VKS), then for each question an octet (0: an error, 1: not signed or a status, 2: signed or a page), an octet more
 * (which error, which status, how many records), and a length of two octets with so much of the rest. What is found is
 * of the address, can be sealed to now, and is kept for a while and no longer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_judge.h"
#include "keyserver/discover/discover.h"
#include "server/core/error.h"
#include "tests/fuzz/pgp_half.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { AT = 1767225600, ERRORS = 24, RECORDS = 16 };

struct input {
    const uint8_t *p;
    size_t left;
};

static unsigned take(struct input *in)
{
    if (!in->left)
        return 0;
    in->left--;
    return *in->p++;
}

static struct slice take_slice(struct input *in)
{
    size_t len = take(in);
    len = len << 8 | take(in);
    if (len > in->left)
        len = in->left;
    const struct slice s = slice_of(in->p, len);
    in->p += len;
    in->left -= len;
    return s;
}

/* In as many records as the octet says, of one length. */
static void answer_records(struct discover *d, unsigned form, unsigned more, struct slice s)
{
    struct dns_record v[RECORDS];
    struct dns_answer a = {.trust = form == 1 ? DNS_INSECURE : DNS_SECURE, .ttl = more << 12, .canonical = "x", .v = v};
    const size_t n = s.len ? more % RECORDS + 1 : 0;
    for (size_t i = 0; i < n && s.len / n; i++)
        v[a.n++] = (struct dns_record){.data = slice_of(s.data + i * (s.len / n), s.len / n)};
    a.exists = a.n != 0;
    must(discover_records(d, OK, &a) == OK);
}

static void answer_page(struct discover *d, enum discover_source s, unsigned form, unsigned more, struct slice body)
{
    const struct fetch_answer a = {.status = form == 1 ? 200 + more : 200, .type = "", .body = body};
    must(discover_page(d, s, OK, &a) == OK);
}

static void check(const struct discover *d)
{
    const struct discover_result r = discover_result(d);
    struct pgp_judged *j = malloc(sizeof(*j));
    must(j && discover_over(d));
    must((r.outcome == DISCOVER_FOUND) == (r.cert != NULL) && r.keep >= 1 && r.keep <= 86400);
    must(discover_outcome_text(r.outcome) && discover_trust_name(r.trust));
    if (r.cert) {
        must(pgp_judge(r.cert, r.len, AT, j) == OK);
        must(!j->verdict.enc_expires || j->verdict.enc_expires > AT);
        j->verdict.signed_at = r.verdict.signed_at; /* which the judge leaves to whoever asks */
        must(!memcmp(&j->verdict, &r.verdict, sizeof(r.verdict)));
        must(j->nuser_ids >= 1 && r.trust != DISCOVER_BY_NOBODY);
    }
    free(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    const unsigned how = take(&in);
    const struct discover_params p = {.address = "ann@example.org",
                                      .server = how & 2 ? "hkp:keys.test" : "vks:keys.test",
                                      .now = AT,
                                      .every = how & 1};
    struct discover_question q;
    struct discover *d = NULL;
    unsigned asked = 0;
    must(discover_create(&p, &d) == OK);
    while (discover_next(d, &q)) {
        const unsigned form = take(&in) % 3, more = take(&in);
        const struct slice s = take_slice(&in);
        must(++asked <= DISCOVER_SOURCES);
        if (!form && q.url)
            must(discover_page(d, q.source, -1 - (int)(more % ERRORS), NULL) == OK);
        else if (!form)
            must(discover_records(d, -1 - (int)(more % ERRORS), NULL) == OK);
        else if (q.url)
            answer_page(d, q.source, form, more, s);
        else
            answer_records(d, form, more, s);
    }
    check(d);
    discover_destroy(d);
    return 0;
}
