#include "tests/support/records_zone.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"

const char *zone_type_name(enum records_type t)
{
    return t == RECORDS_A      ? "A"
           : t == RECORDS_AAAA ? "AAAA"
           : t == RECORDS_MX   ? "MX"
           : t == RECORDS_PTR  ? "PTR"
                               : "TXT";
}

static void fill(const struct zone_row *row, struct records_value *v, uint8_t octets[16])
{
    switch (row->type) {
    case RECORDS_A:
    case RECORDS_AAAA:
        bug_if(inet_pton(row->type == RECORDS_A ? AF_INET : AF_INET6, row->value, octets) != 1);
        v->data = slice_of(octets, row->type == RECORDS_A ? 4 : 16);
        break;
    case RECORDS_TXT: v->data = slice_of(row->value, strlen(row->value)); break;
    case RECORDS_MX:
        v->preference = (uint16_t)atoi(row->value);
        v->name = strchr(row->value, ' ') + 1;
        break;
    case RECORDS_PTR: v->name = row->value;
    }
}

static void answer(struct zone *z, struct records *r, const struct records_question *q)
{
    static struct records_value v[RECORDS_VALUES_MAX];
    static uint8_t octets[RECORDS_VALUES_MAX][16];
    struct records_answer a = {.v = v};

    memmove(z->last[1], z->last[0], sizeof(z->last) - sizeof(z->last[0]));
    snprintf(z->last[0], sizeof(z->last[0]), "%s %s", zone_type_name(q->type), q->name);
    for (size_t i = 0; i < z->n; i++) {
        if (strcmp(z->v[i].name, q->name) != 0)
            continue;
        a.exists = true;
        if (z->v[i].type != q->type)
            continue;
        if (!z->v[i].value)
            a.err = ERR_TIMEOUT;
        else {
            fill(&z->v[i], &v[a.n], octets[a.n]);
            a.n++;
        }
    }
    records_put(r, q, &a);
}

unsigned zone_answer(struct zone *z, struct records *r)
{
    const struct records_question *q;
    unsigned n = 0;

    for (; (q = records_take(r)); n++)
        answer(z, r, q);
    z->asked += n;
    return n;
}
