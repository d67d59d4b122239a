/* A report read, as others write them. See tls_report.h. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/mailauth/tls_report_impl.h"
#include "server/mailauth/packed.h"

/* The texts are the JSON's, which lives as long. */
struct tls_report_read {
    json_t *root;
    struct tls_report report;
};

const struct tls_report *tls_report_of(const struct tls_report_read *r)
{
    return &r->report;
}

void tls_report_read_free(struct tls_report_read *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->report.npolicies; i++) {
        const struct tls_report_policy *p = &r->report.policies[i];
        free((void *)(uintptr_t)p->details);
        free((void *)(uintptr_t)p->lines);
        free((void *)(uintptr_t)p->mx);
    }
    free((void *)(uintptr_t)r->report.policies);
    json_decref(r->root);
    free(r);
}

/* ---- JSON ---- */

static const char *text_at(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

/* Microsoft and others write counts as numbers; some as texts of digits. */
static uint64_t count_at(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    const char *text = json_string_value(v);

    if (json_is_integer(v))
        return json_integer_value(v) < 0 ? 0 : (uint64_t)json_integer_value(v);
    return text && *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : 0;
}

static int64_t time_at(const json_t *o, const char *key)
{
    const char *text = text_at(o, key);
    int64_t t = 0;

    if (text)
        (void)date_read_internet((const uint8_t *)text, strlen(text), &t);
    return t;
}

/* The place of a word, or its first row's. */
static unsigned find_word(const char *const *words, unsigned n, const char *word)
{
    for (unsigned i = 0; word && i < n; i++)
        if (words[i] && strcmp(words[i], word) == 0)
            return i;
    return 0;
}

/* A list of texts; a text alone is a list of one. */
static int texts_at(const json_t *o, const char *key, const char *const **ret, size_t *ret_n)
{
    const json_t *list = json_object_get(o, key);
    const size_t len = json_is_string(list) ? 1 : json_array_size(list);
    const char **v;
    size_t n = 0;

    if (len == 0)
        return OK;
    if (len > TLS_REPORT_ITEMS_MAX)
        return ERR_LIMIT;
    v = calloc(len, sizeof(*v));
    if (!v)
        return ERR_MEMORY;
    for (size_t i = 0; i < len; i++) {
        const char *text = json_string_value(json_is_string(list) ? list : json_array_get(list, i));
        if (text)
            v[n++] = text;
    }
    *ret = v;
    *ret_n = n;
    return OK;
}

static void read_detail(const json_t *o, struct tls_report_detail *ret)
{
    *ret = (struct tls_report_detail){
        .word = text_at(o, "result-type"),
        .sending_ip = text_at(o, "sending-mta-ip"),
        .receiving_ip = text_at(o, "receiving-ip"),
        .mx = text_at(o, "receiving-mx-hostname"),
        .helo = text_at(o, "receiving-mx-helo"),
        .reason = text_at(o, "failure-reason-code"),
        .sessions = count_at(o, "failed-session-count"),
    };
    ret->result = (enum tls_report_result)find_word(tls_report_results, TLS_REPORT_RESULTS, ret->word);
}

static int read_policy(const json_t *o, struct tls_report_policy *p)
{
    const json_t *policy = json_object_get(o, "policy"), *summary = json_object_get(o, "summary");
    const json_t *details = json_object_get(o, "failure-details");
    const size_t n = json_array_size(details);
    struct tls_report_detail *v;
    int err;

    if (!json_is_object(policy) || !json_is_object(summary))
        return ERR_FORMAT;
    p->kind = (enum tls_report_kind)find_word(tls_report_kinds, TLS_REPORT_KINDS, text_at(policy, "policy-type"));
    p->domain = text_at(policy, "policy-domain");
    p->successes = count_at(summary, "total-successful-session-count");
    p->failures = count_at(summary, "total-failure-session-count");
    err = texts_at(policy, "policy-string", &p->lines, &p->nlines);
    if (err == OK)
        err = texts_at(policy, "mx-host", &p->mx, &p->nmx);
    if (err != OK || n == 0)
        return err;
    if (n > TLS_REPORT_ITEMS_MAX)
        return ERR_LIMIT;
    v = calloc(n, sizeof(*v));
    if (!v)
        return ERR_MEMORY;
    for (size_t i = 0; i < n; i++)
        read_detail(json_array_get(details, i), &v[i]);
    p->details = v;
    p->ndetails = n;
    return OK;
}

static int read_report(struct tls_report_read *r)
{
    const json_t *range = json_object_get(r->root, "date-range"), *policies = json_object_get(r->root, "policies");
    const size_t n = json_array_size(policies);
    struct tls_report_policy *v;
    int err = OK;

    if (!json_is_object(r->root) || !json_is_array(policies))
        return ERR_FORMAT;
    if (n > TLS_REPORT_ITEMS_MAX)
        return ERR_LIMIT;
    r->report = (struct tls_report){
        .organization = text_at(r->root, "organization-name"),
        .contact = text_at(r->root, "contact-info"),
        .id = text_at(r->root, "report-id"),
        .begin = time_at(range, "start-datetime"),
        .end = time_at(range, "end-datetime"),
    };
    v = calloc(n ? n : 1, sizeof(*v));
    if (!v)
        return ERR_MEMORY;
    r->report.policies = v;
    r->report.npolicies = n;
    for (size_t i = 0; err == OK && i < n; i++)
        err = read_policy(json_array_get(policies, i), &v[i]);
    return err;
}

/* jansson bounds the depth (2048 levels). */
int tls_report_read(const void *data, size_t len, struct tls_report_read **ret)
{
    const bool packed = packed_is_gzip(slice_of(data, len));
    struct tls_report_read *r;
    struct buf text;
    int err = OK;

    if (len > (packed ? TLS_REPORT_PACKED_MAX : TLS_REPORT_TEXT_MAX))
        return ERR_LIMIT;
    r = calloc(1, sizeof(*r));
    if (!r)
        return ERR_MEMORY;
    buf_init(&text, TLS_REPORT_TEXT_MAX, false);
    if (packed)
        err = packed_read_gzip(slice_of(data, len), &text);
    if (err == OK) {
        r->root = json_loadb(packed ? (const char *)text.data : data, packed ? text.len : len, 0, NULL);
        err = r->root ? read_report(r) : ERR_FORMAT;
    }
    buf_free(&text);
    if (err != OK) {
        tls_report_read_free(r);
        return err;
    }
    *ret = r;
    return OK;
}
