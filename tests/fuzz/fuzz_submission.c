/* The header of what our own people send. Whoever passes is seen by a lenient reader as the author too; what is written
 * for them keeps body and other fields, has no blind recipient, one Date and one Message-ID, and is written the same
 * once more. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/ingest/submission/author.h"
#include "server/mail/address.h"

static const struct clean_params params = {.now = 1792000000,
                                           .id = "<1@x.example>",
                                           .key = (const uint8_t[32]){0},
                                           .own_domain = "x.example"};

static int is_alice(void *arg, const char *address)
{
    return strcasecmp(address, "alice@x.example") == 0 ? OK : ERR_DENIED;
}

static int must_be_alice(void *arg, const struct address_item *item)
{
    char address[ADDRESS_CANONICAL_MAX];

    if (!address_canonical(item, address) || is_alice(NULL, address) != OK)
        abort();
    return 0;
}

static void check_author(const struct clean_header *h)
{
    static const char *const names[] = {"From", "Sender", "Resent-From", "Resent-Sender"};
    char domain[DOMAIN_CAP];

    if (submission_author_check(h, is_alice, NULL, domain) != OK)
        return;
    if (strcmp(domain, "x.example") != 0)
        abort();
    for (size_t i = 0; i < h->n; i++)
        for (size_t k = 0; k < 4; k++)
            if (header_field_is(h->s, &h->fields[i], names[k])) {
                struct slice v = header_field_value(h->s, &h->fields[i]);
                address_each(v.data, v.len, must_be_alice, NULL);
            }
}

static size_t count(const struct clean_header *h, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n; i++)
        n += header_field_is(h->s, &h->fields[i], name);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct header_field fields[HEADER_FIELDS_MAX], again_fields[HEADER_FIELDS_MAX];
    struct clean_header h, again;
    uint8_t *out, *twice;
    size_t n, m;

    if (submission_header_read(data, len, fields, &h) != OK)
        return 0;
    check_author(&h);
    out = malloc(submission_clean_max(&h, &params));
    n = submission_clean(&h, &params, out);
    if (n > submission_clean_max(&h, &params))
        abort();
    if (submission_header_read(out, n, again_fields, &again) != OK || again.len != n)
        abort();
    if (count(&again, "Bcc") || count(&again, "Received") || count(&again, "Date") != 1 ||
        count(&again, "Message-ID") != 1 || count(&h, "From") != count(&again, "From"))
        abort();
    twice = malloc(submission_clean_max(&again, &params));
    m = submission_clean(&again, &params, twice);
    if (m != n || memcmp(out, twice, n) != 0)
        abort();
    free(out);
    free(twice);
    return 0;
}
