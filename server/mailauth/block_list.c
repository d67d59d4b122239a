#include "server/mailauth/block_list.h"

#include <stdio.h>
#include <string.h>

#include "server/core/error.h"

static const uint8_t points4[BLOCK_LIST_QUESTIONS][4] = {
    [BLOCK_LIST_TEST] = {127, 0, 0, 2}, [BLOCK_LIST_NEVER] = {127, 0, 0, 1}};
/* Section 5: ::FFFF:7F00:2 and ::FFFF:7F00:1. */
static const uint8_t points6[BLOCK_LIST_QUESTIONS][16] = {
    [BLOCK_LIST_TEST] = {[10] = 0xff, 0xff, 0x7f, 0, 0, 2}, [BLOCK_LIST_NEVER] = {[10] = 0xff, 0xff, 0x7f, 0, 0, 1}};

static const uint8_t *point(enum block_list_question q, bool six)
{
    return six ? points6[q] : points4[q];
}

void block_list_reversed(const uint8_t *octets, bool six, char out[BLOCK_LIST_REVERSED_CAP])
{
    size_t at = 0;

    if (!six) {
        snprintf(out, BLOCK_LIST_REVERSED_CAP, "%u.%u.%u.%u", octets[3], octets[2], octets[1], octets[0]);
        return;
    }
    for (int i = 15; i >= 0; i--)
        at += (size_t)snprintf(out + at, BLOCK_LIST_REVERSED_CAP - at, "%x.%x%s", octets[i] & 0xfU,
                               (unsigned)octets[i] >> 4, i ? "." : "");
}

int block_list_name(enum block_list_question q, const uint8_t *octets, bool six, const char *list, char *out,
                    size_t cap)
{
    char reversed[BLOCK_LIST_REVERSED_CAP];

    block_list_reversed(q == BLOCK_LIST_HAS ? octets : point(q, six), six, reversed);
    return (size_t)snprintf(out, cap, "%s.%s", reversed, list) < cap ? OK : ERR_LIMIT;
}

enum block_list_entry block_list_add(enum block_list_entry e, const uint8_t octets[4])
{
    if (octets[0] != 127 || (octets[1] == 255 && octets[2] == 255) || memcmp(octets, points4[BLOCK_LIST_NEVER], 4) == 0)
        return BLOCK_LIST_REFUSES;
    return e == BLOCK_LIST_NONE ? BLOCK_LIST_LISTED : e;
}

enum block_list_says block_list_says(const uint8_t *octets, bool six,
                                     const enum block_list_entry e[BLOCK_LIST_QUESTIONS])
{
    const bool itself = memcmp(octets, point(BLOCK_LIST_NEVER, six), six ? 16 : 4) == 0;

    if (e[BLOCK_LIST_TEST] != BLOCK_LIST_LISTED || e[BLOCK_LIST_HAS] == BLOCK_LIST_REFUSES)
        return BLOCK_LIST_NOTHING;
    if (e[BLOCK_LIST_NEVER] != BLOCK_LIST_NONE && !itself)
        return BLOCK_LIST_NOTHING;
    return e[BLOCK_LIST_HAS] == BLOCK_LIST_LISTED ? BLOCK_LIST_YES : BLOCK_LIST_NO;
}

static enum block_list_entry entry_of(const struct records_answer *a)
{
    enum block_list_entry e = BLOCK_LIST_NONE;

    for (size_t i = 0; i < a->n; i++)
        e = block_list_add(e, a->v[i].data.data);
    return e;
}

int block_list_check(const uint8_t *octets, bool six, const char *list, struct records *r, enum block_list_says *ret)
{
    enum block_list_entry e[BLOCK_LIST_QUESTIONS];
    int err = OK;

    for (enum block_list_question q = BLOCK_LIST_HAS; q < BLOCK_LIST_QUESTIONS; q++) {
        char name[RECORDS_NAME_CAP];
        const struct records_answer *a;

        if (block_list_name(q, octets, six, list, name, sizeof(name)) != OK)
            return ERR_UNKNOWN;
        a = records_get(r, RECORDS_A, name);
        if (!a)
            err = ERR_AGAIN;
        else if (a->err != OK && err == OK)
            err = ERR_UNKNOWN;
        else if (a->err == OK)
            e[q] = entry_of(a);
    }
    if (err == OK)
        *ret = block_list_says(octets, six, e);
    return err;
}
