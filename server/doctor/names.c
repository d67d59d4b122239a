#include "server/doctor/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/doctor/impl.h"

struct doctor_names {
    struct doctor d;
};

int doctor_names_create(int resolver, struct doctor_names **ret)
{
    struct doctor_names *n = calloc(1, sizeof(*n));

    if (n && (n->d.loop = loop_create())) {
        n->d.dns = dns_create(n->d.loop);
        n->d.late = timer_create_in(n->d.loop, doctor_late, &n->d);
    }
    if (!n || !n->d.dns || !n->d.late) {
        doctor_names_destroy(n);
        return ERR_MEMORY;
    }
    n->d.answered = true; /* each question is asked, whatever came of another */
    dns_channel(n->d.dns, resolver);
    *ret = n;
    return OK;
}

void doctor_names_destroy(struct doctor_names *n)
{
    if (!n)
        return;
    doctor_forget(&n->d);
    dns_destroy(n->d.dns);
    timer_destroy(n->d.late);
    loop_destroy(n->d.loop);
    free(n);
}

bool doctor_names_meet(struct doctor_names *n, const char *a, const char *b)
{
    struct doctor_address of_a[DOCTOR_ADDRESSES_MAX], of_b[DOCTOR_ADDRESSES_MAX];
    size_t na = doctor_addresses(&n->d, a, of_a, DOCTOR_ADDRESSES_MAX);
    size_t nb = doctor_addresses(&n->d, b, of_b, DOCTOR_ADDRESSES_MAX);

    for (size_t i = 0; i < na; i++)
        for (size_t k = 0; k < nb; k++)
            if (doctor_address_is(&of_a[i], &of_b[k]))
                return true;
    return false;
}

int doctor_names_tlsa(struct doctor_names *n, const char *host, const uint8_t key_sha256[32], struct doctor_tlsa *ret)
{
    char name[DNS_NAME_MAX + 16];
    const struct dns_answer *a;
    int err = OK;

    snprintf(name, sizeof(name), "_25._tcp.%s", host);
    a = doctor_ask(&n->d, DNS_TLSA, name, &err);
    if (!a)
        return err;
    *ret = (struct doctor_tlsa){.ttl = a->ttl};
    for (uint32_t i = 0; i < a->n; i++) {
        const struct dns_record *r = &a->v[i];
        ret->any |= r->usage == 3;
        ret->fits |= r->usage == 3 && r->selector == 1 && r->matching == 1 && r->data.len == 32 &&
                     memcmp(r->data.data, key_sha256, 32) == 0;
    }
    return OK;
}
