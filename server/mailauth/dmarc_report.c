#include "server/mailauth/dmarc_report.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/core/xml.h"
#include "server/mail/address.h"
#include "server/mail/token.h"
#include "server/mailauth/packed.h"

enum { DEPTH_MAX = 16, PATH_MAX_OCTETS = 128 };

/* What one record says. */
struct row {
    uint64_t count;
    bool dkim, spf, quarantined, rejected;
    uint8_t network, octets[6]; /* of struct dmarc_report_network; 0: it does not say */
};

struct reading {
    unsigned depth;
    char path[PATH_MAX_OCTETS]; /* "/feedback/record/row" */
    size_t lens[DEPTH_MAX + 1]; /* of the path at each depth; what is too long for it is of no interest */
    char text[DMARC_REPORT_WORDS_CAP];
    size_t len; /* of the text of the element at work, cut */
    struct row row;
    struct dmarc_report report;
    bool is_report;
};

/* ---- values ---- */

static void take_words(struct reading *r, char out[DMARC_REPORT_WORDS_CAP])
{
    struct slice s = token_trim(slice_of(r->text, r->len));

    s.len = utf8_prefix(s.data, s.len); /* it may have been cut in a character */
    memcpy(out, s.data, s.len);
    out[s.len] = '\0';
}

static uint64_t number(const struct reading *r)
{
    struct slice s = token_trim(slice_of(r->text, r->len));
    uint64_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return 0;
        n = n < INT64_MAX / 16 ? n * 10 + (uint64_t)(s.data[i] - '0') : INT64_MAX;
    }
    return n;
}

static bool says(const struct reading *r, const char *word)
{
    struct slice s = token_trim(slice_of(r->text, r->len));

    return s.len == strlen(word) && memcmp(s.data, word, s.len) == 0;
}

static void take_organization(struct reading *r)
{
    take_words(r, r->report.organization);
}

static void take_id(struct reading *r)
{
    take_words(r, r->report.id);
}

/* Until the year 9999, as dates are written. */
static int64_t moment(const struct reading *r)
{
    uint64_t n = number(r);

    return n <= 253402300799 ? (int64_t)n : 0;
}

static void take_begin(struct reading *r)
{
    r->report.begin = moment(r);
}

static void take_end(struct reading *r)
{
    r->report.end = moment(r);
}

static void take_domain(struct reading *r)
{
    struct slice s = token_trim(slice_of(r->text, r->len));
    char domain[DOMAIN_CAP];

    s.len -= s.len && s.data[s.len - 1] == '.';
    if (address_domain_normalize((const char *)s.data, s.len, domain) == OK && records_name_valid(domain))
        strcpy(r->report.domain, domain);
}

static void take_source(struct reading *r)
{
    const struct slice s = token_trim(slice_of(r->text, r->len));
    char text[INET6_ADDRSTRLEN];
    uint8_t octets[16];

    if (s.len >= sizeof(text))
        return;
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    if (inet_pton(AF_INET, text, octets) == 1)
        r->row.network = 3;
    else if (inet_pton(AF_INET6, text, octets) == 1)
        r->row.network = 6;
    memcpy(r->row.octets, octets, r->row.network);
}

static void take_count(struct reading *r)
{
    r->row.count = number(r);
}

static void take_dkim(struct reading *r)
{
    r->row.dkim = says(r, "pass");
}

static void take_spf(struct reading *r)
{
    r->row.spf = says(r, "pass");
}

static void take_disposition(struct reading *r)
{
    r->row.quarantined = says(r, "quarantine");
    r->row.rejected = says(r, "reject");
}

static void add(uint64_t *sum, uint64_t n, bool counts)
{
    if (counts)
        *sum = n > INT64_MAX - *sum ? INT64_MAX : *sum + n;
}

static void add_network(struct dmarc_report *to, const struct row *row)
{
    struct dmarc_report_network *n = to->networks, *least = n, *end = n + to->nnetworks;

    for (; n < end && (n->len != row->network || memcmp(n->octets, row->octets, sizeof(n->octets)) != 0); n++)
        least = n->messages < least->messages ? n : least;
    if (n == end && to->nnetworks == DMARC_REPORT_NETWORKS) {
        if (row->count <= least->messages)
            return;
        n = least;
    } else if (n == end) {
        to->nnetworks++;
    } else {
        add(&n->messages, row->count, true);
        return;
    }
    *n = (struct dmarc_report_network){.len = row->network, .messages = row->count};
    memcpy(n->octets, row->octets, sizeof(n->octets));
}

static void take_record(struct reading *r)
{
    const struct row *row = &r->row;

    add(&r->report.messages, row->count, true);
    add(&r->report.by_dkim, row->count, row->dkim);
    add(&r->report.by_spf, row->count, row->spf);
    add(&r->report.passed, row->count, row->dkim || row->spf);
    add(&r->report.quarantined, row->count, row->quarantined);
    add(&r->report.rejected, row->count, row->rejected);
    if (row->network && !row->dkim && !row->spf)
        add_network(&r->report, row);
    r->row = (struct row){0};
}

static void take_report(struct reading *r)
{
    r->is_report = true;
}

/* Where an element ends. */
static const struct {
    const char *path;
    void (*take)(struct reading *r);
} elements[] = {
    {"/feedback/report_metadata/org_name", take_organization},
    {"/feedback/report_metadata/report_id", take_id},
    {"/feedback/report_metadata/date_range/begin", take_begin},
    {"/feedback/report_metadata/date_range/end", take_end},
    {"/feedback/policy_published/domain", take_domain},
    {"/feedback/record/row/source_ip", take_source},
    {"/feedback/record/row/count", take_count},
    {"/feedback/record/row/policy_evaluated/disposition", take_disposition},
    {"/feedback/record/row/policy_evaluated/dkim", take_dkim},
    {"/feedback/record/row/policy_evaluated/spf", take_spf},
    {"/feedback/record", take_record},
    {"/feedback", take_report},
};

/* ---- XML ---- */

static int on_start(void *arg, const char *name)
{
    struct reading *r = arg;
    const char *colon = strrchr(name, ':'); /* some have prefixes */
    const size_t at = r->lens[r->depth];

    name = colon ? colon + 1 : name;
    size_t n = strnlen(name, sizeof(r->path));
    if (at + 1 + n < sizeof(r->path)) {
        r->path[at] = '/';
        memcpy(r->path + at + 1, name, n);
        r->lens[r->depth + 1] = at + 1 + n;
    } else
        r->lens[r->depth + 1] = sizeof(r->path) - 1;
    r->depth++;
    r->len = 0;
    return OK;
}

static int on_end(void *arg)
{
    struct reading *r = arg;
    const size_t len = r->lens[r->depth];

    for (size_t i = 0; i < sizeof(elements) / sizeof(*elements); i++)
        if (strlen(elements[i].path) == len && memcmp(elements[i].path, r->path, len) == 0)
            elements[i].take(r);
    r->depth--;
    r->len = 0;
    return OK;
}

static int on_text(void *arg, const char *text, size_t len)
{
    struct reading *r = arg;
    const size_t room = sizeof(r->text) - 1 - r->len, n = len < room ? len : room;

    memcpy(r->text + r->len, text, n);
    r->len += n;
    return OK;
}

static int read_xml(struct slice text, struct dmarc_report *ret)
{
    static const struct xml_ops ops = {on_start, on_end, on_text};
    struct reading r = {0};
    int err = xml_read(text, DEPTH_MAX, &ops, &r);

    if (err == OK && !(r.is_report && *r.report.domain))
        err = ERR_FORMAT;
    if (err == OK)
        *ret = r.report;
    return err;
}

int dmarc_report_read_within(struct slice in, size_t *room, struct dmarc_report *ret)
{
    const bool gzip = packed_is_gzip(in), zip = packed_is_zip(in);
    struct buf text;
    int err;

    if (in.len > (gzip || zip ? DMARC_REPORT_PACKED_MAX : *room))
        return ERR_LIMIT;
    if (!gzip && !zip) {
        *room -= in.len;
        return read_xml(in, ret);
    }
    buf_init(&text, *room, true);
    err = gzip ? packed_read_gzip(in, &text) : packed_read_zip(in, &text);
    *room -= err == ERR_LIMIT ? *room : text.len; /* it was unpacked until there was none */
    if (err == OK)
        err = read_xml(slice_of(text.data, text.len), ret);
    buf_free(&text);
    return err;
}

int dmarc_report_read(const void *data, size_t len, struct dmarc_report *ret)
{
    size_t room = DMARC_REPORT_TEXT_MAX;

    return dmarc_report_read_within(slice_of(data, len), &room, ret);
}
