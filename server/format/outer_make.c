/* The outer header block: what of a mail's header stays readable outside its seal, by the account's policy
 * (docs/design.md section 5). Every value is made of pieces that passed the grammars the vault's gate checks; what does
 * not pass is left out. */
#include <string.h>

#include "server/mail/address.h"
#include "server/mail/autocrypt.h"
#include "server/mail/date.h"
#include "server/mail/message_id.h"
#include "server/mail/token.h"
#include "server/format/protection_impl.h"
#include "server/core/secmem.h"
#include "server/core/error.h"

enum kind { DATE, MAILBOX, ADDRESSES, SUBJECT, ID, IDS };

/* In the order of the block. Caps are octets of the whole field; with Sealed-By they add up to less than
 * PARCEL_OUTER_MAX. */
static const struct outer_field {
    const char *name;
    enum kind kind;
    size_t cap;
} table[] = {
    {"Date", DATE, 120},     {"From", ADDRESSES, 1500},  {"Sender", MAILBOX, 600},  {"Reply-To", ADDRESSES, 1000},
    {"To", ADDRESSES, 3400}, {"Cc", ADDRESSES, 2400},    {"Bcc", ADDRESSES, 600},   {"Subject", SUBJECT, 1000},
    {"Message-ID", ID, 950}, {"In-Reply-To", IDS, 1000}, {"References", IDS, 2500},
};
enum { LINE_MAX_OUT = 980 /* "HP-Outer: " must fit in front (RFC 9788 section 2.2) */, FOLD_AT = 76, IDS_KEPT = 128 };

/* A list of pieces, folded; whole pieces only, up to the cap. */
struct list {
    struct buf *out;
    const char *name, *comma;
    size_t cap, start, line, count, max;
    int err;
};

static void list_begin(struct list *l, struct buf *out, const struct outer_field *f, const char *comma)
{
    *l = (struct list){.out = out,
                       .name = f->name,
                       .comma = comma,
                       .cap = f->cap,
                       .start = out->len,
                       .max = f->kind == MAILBOX || f->kind == ID ? 1 : SIZE_MAX};
}

static int list_put(struct list *l, const char *s, size_t len)
{
    size_t used = l->out->len - l->start;
    if (l->err || l->count == l->max || used + strlen(l->name) + len + 10 > l->cap)
        return 1;
    if (!l->count) {
        l->err = buf_printf(l->out, "%s: ", l->name);
        l->line = l->out->len - l->start;
    } else {
        bool fold = l->line + len + 2 > FOLD_AT;
        l->err = buf_printf(l->out, "%s%s", l->comma, fold ? "\r\n " : " ");
        l->line = fold ? 1 : l->line + strlen(l->comma) + 1;
    }
    if (l->err == OK)
        l->err = buf_append(l->out, s, len);
    l->line += len;
    l->count++;
    return l->err;
}

static int list_end(struct list *l)
{
    return l->err || !l->count ? l->err : buf_puts(l->out, "\r\n");
}

static int put_address(void *arg, const struct address_item *item)
{
    char spec[ADDRESS_CANONICAL_MAX], unreadable[ADDRESS_UNREADABLE_MAX];
    size_t n = address_canonical(item, spec);
    return n ? list_put(arg, spec, n) : list_put(arg, unreadable, address_unreadable(item, unreadable));
}

static int put_as_it_is(struct buf *out, const struct outer_field *f, struct slice v)
{
    int err = buf_printf(out, "%s: ", f->name);
    if (err == OK)
        err = buf_append(out, v.data, v.len);
    return err == OK ? buf_puts(out, "\r\n") : err;
}

static bool fits(const struct outer_field *f, struct slice v)
{
    return v.len && strlen(f->name) + v.len + 4 <= f->cap &&
           header_value_valid(v.data, v.len, strlen(f->name) + 2, LINE_MAX_OUT);
}

struct id_set {
    struct slice first, last[IDS_KEPT];
    size_t n;
};

static int collect_id(void *arg, const uint8_t *s, size_t len)
{
    struct id_set *set = arg;
    if (!set->n)
        set->first = (struct slice){s, len};
    else
        set->last[set->n % IDS_KEPT] = (struct slice){s, len};
    set->n++;
    return 0;
}

/* A pseudonym of the account's own: what its client read here, and now quotes or puts back. */
static bool is_own_pseudonym(const struct protect_params *p, const char *id)
{
    char plain[MESSAGE_ID_MAX];
    bool own = p->pseudonym_key && pseudonym_open(p->pseudonym_key, p->domain, id, plain, sizeof(plain)) == OK;
    secmem_wipe(plain, sizeof(plain));
    return own;
}

/* The id as it goes out; 0: it does not. */
static size_t id_text(const struct protect_params *p, struct slice id, char out[MESSAGE_ID_MAX + 8])
{
    char plain[MESSAGE_ID_MAX];
    size_t len = message_id_text(id.data, id.len, out);
    memcpy(plain, out + 1, len - 2);
    plain[len - 2] = '\0';
    if (p->policy != POLICY_HIDDEN || is_own_pseudonym(p, plain))
        return len;
    out[0] = '<';
    if (!p->pseudonym_key || pseudonym_make(p->pseudonym_key, p->domain, plain, out + 1, MESSAGE_ID_MAX - 2) != OK)
        return 0;
    size_t n = strlen(out);
    out[n] = '>';
    return n + 1;
}

/* References: the first and as many of the last as fit (RFC 5322 3.6.4 has readers look at those). */
static int put_ids(const struct protect_params *p, const struct outer_field *f, struct slice v, struct buf *out)
{
    struct id_set set = {0};
    struct list l;
    char text[MESSAGE_ID_MAX + 8];
    message_id_each(v.data, v.len, collect_id, &set);
    if (!set.n)
        return OK;
    list_begin(&l, out, f, "");
    size_t n = id_text(p, set.first, text), room = f->cap - strlen(f->name) - 2;
    if (n)
        list_put(&l, text, n);
    room -= n + 10 < room ? n + 10 : room;
    size_t from = set.n, oldest = set.n > IDS_KEPT ? set.n - IDS_KEPT + 1 : 1;
    while (from > oldest) {
        size_t k = id_text(p, set.last[(from - 1) % IDS_KEPT], text) + 13;
        if (k > room)
            break;
        room -= k;
        from--;
    }
    for (; l.max > 1 && from < set.n; from++) {
        n = id_text(p, set.last[from % IDS_KEPT], text);
        if (n)
            list_put(&l, text, n);
    }
    return list_end(&l);
}

static int put_addresses(const struct protect_params *p, const struct outer_field *f, struct slice v, struct buf *out)
{
    if (p->policy == POLICY_HIDDEN)
        return !strcmp(f->name, "To") ? buf_puts(out, "To: " HIDDEN_ADDRESS "\r\n") : OK;
    if (p->policy == POLICY_BASELINE && fits(f, v) && address_list_valid(v.data, v.len))
        return put_as_it_is(out, f, v);
    struct list l;
    list_begin(&l, out, f, ",");
    address_each(v.data, v.len, put_address, &l);
    if (l.err == OK && !l.count && !strcmp(f->name, "From"))
        return buf_puts(out, "From: " ADDRESS_UNREADABLE "\r\n");
    return list_end(&l);
}

static int put_date(const struct protect_params *p, const struct outer_field *f, struct slice v, struct buf *out)
{
    int64_t t = p->date;
    bool read = date_read(v.data, v.len, &t, NULL) == OK;
    if (read && p->policy == POLICY_BASELINE && fits(f, v) && date_valid(v.data, v.len))
        return put_as_it_is(out, f, v);
    if (p->policy == POLICY_HIDDEN)
        t -= (t % 3600 + 3600) % 3600;
    char text[DATE_SIZE];
    date_write(t, text);
    return buf_printf(out, "Date: %s\r\n", text);
}

static int put_field(const struct protect_params *p, const struct outer_field *f, struct slice v, bool there,
                     bool foreign, struct buf *out)
{
    if (f->kind == DATE)
        return put_date(p, f, v, out);
    if (f->kind == SUBJECT) {
        if (!foreign || p->policy == POLICY_HIDDEN || (there && !fits(f, v)))
            return buf_puts(out, "Subject: [...]\r\n");
        return there ? put_as_it_is(out, f, v) : OK;
    }
    if (p->policy == POLICY_HIDDEN && !strcmp(f->name, "From"))
        return buf_puts(out, "From: " HIDDEN_ADDRESS "\r\n");
    if ((!there && strcmp(f->name, "From") != 0) || (p->policy != POLICY_BASELINE && !strcmp(f->name, "Bcc")))
        return OK;
    return f->kind == ID || f->kind == IDS ? put_ids(p, f, v, out) : put_addresses(p, f, v, out);
}

/* The author's key (Autocrypt level 1, "Header injection"): servers and clients look for it outside. */
static int put_autocrypt(const struct protect_params *p, const struct header_view *v, struct buf *out)
{
    static const struct outer_field field = {.name = "Autocrypt", .cap = OUTER_AUTOCRYPT_MAX};
    struct autocrypt a;
    int err = autocrypt_find(v, p->date, &a);
    if (err)
        return err == ERR_MEMORY ? err : OK;
    struct slice value = token_trim(a.value);
    return fits(&field, value) ? put_as_it_is(out, &field, value) : OK;
}

int header_outer(const struct protect_params *p, const struct header_view *v, bool foreign, struct buf *out)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        const struct header_field *h = header_find(v, table[i].name);
        struct slice value = h ? token_trim(header_field_value(v->s, h)) : slice_str("");
        int err = put_field(p, &table[i], value, h != NULL, foreign, out);
        if (err != OK)
            return err;
    }
    if (p->outgoing)
        return put_autocrypt(p, v, out);
    return foreign ? OK : buf_printf(out, "Sealed-By: %s; v=1\r\n", p->domain);
}

int header_outer_foreign(const struct protect_params *p, const struct header_view *v, struct buf *ret_outer)
{
    struct buf out;
    buf_init(&out, OUTER_MAX, true);
    int err = header_outer(p, v, true, &out);
    if (err == OK)
        *ret_outer = out;
    else
        buf_free(&out);
    return err;
}
