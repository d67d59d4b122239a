/* A name server's answer, and what a resolver says of it to the asker. Input: octet type (of those below), octet: 0
 * the rest is an answer over the wire, to a question for "a.test"; else it is a packed answer as the asker gets it.
 * What is taken has its bounds, and comes through the channel as it was. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/resolver/answer.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

static void check(const struct dns_answer *a)
{
    CHECK(a->n <= DNS_RECORDS_MAX && dns_name_valid(a->canonical) && (a->exists || a->n == 0));
    for (uint32_t i = 0; i < a->n; i++) {
        const struct dns_record *r = &a->v[i];
        CHECK(!r->name || !*r->name || dns_host_valid(r->name));
        CHECK(r->data.len <= DNS_ANSWER_MAX);
        CHECK(i == 0 || a->v[i - 1].preference <= r->preference);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = {DNS_A,    DNS_NS,   DNS_PTR, DNS_MX,  DNS_TXT,
                                          DNS_AAAA, DNS_TLSA, DNS_CAA, DNS_SRV, DNS_OPENPGPKEY};
    static struct dns_space a, b;
    static uint8_t out[2 * DNS_ANSWER_MAX];
    struct unpack u;
    struct pack p;

    if (size < 2)
        return 0;
    const enum dns_type type = types[data[0] % (sizeof(types) / sizeof(*types))];
    if (data[1]) {
        unpack_init(&u, data + 2, size - 2);
        if (dns_answer_unpack(&u, type, &a) != OK)
            return 0;
    } else if (answer_read(data + 2, size - 2, type, "a.test", &a) != OK)
        return 0;
    check(&a.answer);
    pack_init(&p, out, sizeof(out));
    dns_answer_pack(&p, type, &a.answer);
    CHECK(!p.failed);
    unpack_init(&u, out, p.len);
    CHECK(dns_answer_unpack(&u, type, &b) == OK && b.answer.n == a.answer.n && b.answer.ttl == a.answer.ttl);
    CHECK(strcmp(a.answer.canonical, b.answer.canonical) == 0);
    for (uint32_t i = 0; i < a.answer.n; i++) {
        const struct dns_record *x = &a.v[i], *y = &b.v[i];
        CHECK(x->preference == y->preference && x->data.len == y->data.len);
        CHECK(x->data.len == 0 || memcmp(x->data.data, y->data.data, x->data.len) == 0);
        CHECK(!x->name || strcmp(x->name, y->name) == 0);
    }
    return 0;
}
