/* mailauth_tool: the engines of server/mailauth over a zone that a script writes. Each line of input is a JSON object:
 *   "what"   "spf" (ip, helo, sender), "dmarc" (author, spf, dkim: names that passed, or [NAME, RESULT]),
 *            "author" (value: of a From field), "results" (id, ip, spf: [RESULT, NAME], dmarc: [RESULT, POLICY, NAME],
 *            dkim: [[RESULT, NAME, SELECTOR]...], aligned: its bits)
 *   "zone"   {NAME: {TYPE: [VALUE...] or "error", "CNAME": NAME, "exists": true}}, NAME in lower case; TYPE "*" is what
 *            all types of that name have that are not there. An MX is [PREFERENCE, NAME]
 * and each line of output another: the verdict, "asked" having the questions in their order, "rounds" how often an
 * engine was told that its answers are there. tests/script/test_spf_suite.py and test_dmarc_cases.py run it. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/mailauth/auth_results.h"
#include "server/mailauth/author.h"
#include "server/mailauth/dmarc.h"
#include "server/mailauth/spf.h"

enum { LINE_MAX_OCTETS = 4 * 1024 * 1024, NAMES_MAX = 256 };

static json_t *line, *asked;

static const char *text(const char *key)
{
    const char *s = json_string_value(json_object_get(line, key));

    return s ? s : "";
}

static bool address(const char *key, uint8_t out[16])
{
    bool six = strchr(text(key), ':') != NULL;

    bug_if(inet_pton(six ? AF_INET6 : AF_INET, text(key), out) != 1);
    return six;
}

/* ---- DNS ---- */

static const char *type_name(enum records_type t)
{
    return t == RECORDS_A      ? "A"
           : t == RECORDS_AAAA ? "AAAA"
           : t == RECORDS_MX   ? "MX"
           : t == RECORDS_PTR  ? "PTR"
                               : "TXT";
}

/* What a name has of a type, at the end of its aliases; NULL: nothing. */
static json_t *find(const char *name, const char *type, bool *ret_exists)
{
    json_t *node = json_object_get(json_object_get(line, "zone"), name), *found, *alias;

    for (int i = 0; i < 8 && node; i++) {
        *ret_exists = true;
        found = json_object_get(node, type);
        alias = json_object_get(node, "CNAME");
        if (found || !alias)
            return found ? found : json_object_get(node, "*");
        node = json_object_get(json_object_get(line, "zone"), json_string_value(alias));
    }
    return NULL;
}

static void fill(enum records_type type, json_t *value, struct records_value *v, uint8_t octets[16])
{
    json_t *name = type == RECORDS_MX ? json_array_get(value, 1) : value;

    switch (type) {
    case RECORDS_A:
    case RECORDS_AAAA:
        bug_if(inet_pton(type == RECORDS_A ? AF_INET : AF_INET6, json_string_value(value), octets) != 1);
        v->data = slice_of(octets, type == RECORDS_A ? 4 : 16);
        break;
    case RECORDS_TXT: v->data = slice_of(json_string_value(value), json_string_length(value)); break;
    default: v->name = json_string_value(name); v->preference = (uint16_t)json_integer_value(json_array_get(value, 0));
    }
}

static void answer(struct records *r, const struct records_question *q)
{
    static struct records_value v[NAMES_MAX];
    static uint8_t octets[NAMES_MAX][16];
    char said[RECORDS_NAME_CAP + 8];
    struct records_answer a = {.v = v};
    json_t *found = find(q->name, type_name(q->type), &a.exists);

    snprintf(said, sizeof(said), "%s %s", type_name(q->type), q->name);
    json_array_append_new(asked, json_string(said));
    if (json_is_string(found))
        a.err = ERR_TIMEOUT;
    else
        a.n = json_array_size(found);
    bug_if(a.n > NAMES_MAX);
    for (size_t i = 0; i < a.n; i++)
        fill(q->type, json_array_get(found, i), &v[i], octets[i]);
    records_put(r, q, &a);
}

/* ---- engines ---- */

static int run_spf(struct records *r, json_t *out)
{
    uint8_t octets[16];
    struct spf_verdict v;
    struct spf_question q = {.address = octets,
                             .six = address("ip", octets),
                             .helo = text("helo"),
                             .sender = text("sender"),
                             .receiver = "mx.letterlock.example",
                             .now = 1};
    int err = spf_check(&q, r, &v);

    if (err == OK)
        json_object_update_new(out,
                               json_pack("{s:s,s:s,s:s,s:s}", "result", auth_result_name(v.result), "domain", v.domain,
                                         "explanation", v.explanation, "problem", v.problem ? v.problem : ""));
    return err;
}

static const char *item(json_t *list, size_t i)
{
    const char *s = json_string_value(json_array_get(list, i));

    return s ? s : "";
}

static enum auth_result result_of(const char *name)
{
    enum auth_result r = AUTH_NONE;

    while (strcmp(auth_result_name(r), name) != 0)
        r++;
    return r;
}

static struct dmarc_identifier identifier(json_t *said)
{
    if (!said)
        return (struct dmarc_identifier){"", AUTH_NONE};
    return json_is_array(said) ? (struct dmarc_identifier){item(said, 0), result_of(item(said, 1))}
                               : (struct dmarc_identifier){json_string_value(said), AUTH_PASS};
}

static json_t *dmarc_said(const struct dmarc_verdict *v)
{
    json_t *out = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:b,s:b}", "result", auth_result_name(v->result),
                            "policy", dmarc_policy_name(v->policy), "p", dmarc_policy_name(v->p), "sp",
                            dmarc_policy_name(v->sp), "np", dmarc_policy_name(v->np), "organization", v->organization,
                            "published", v->published, "testing", v->testing, "strict_dkim", v->strict_dkim,
                            "strict_spf", v->strict_spf, "spf_aligned", v->spf_aligned);

    json_object_set_new(out, "dkim_aligned", json_integer(v->dkim_aligned));
    return out;
}

static int run_dmarc(struct records *r, json_t *out)
{
    json_t *list = json_object_get(line, "dkim");
    struct dmarc_identifier dkim[64];
    struct author_verdict author = {.fault = AUTHOR_OK};
    struct dmarc_question q = {&author, identifier(json_object_get(line, "spf")), dkim, json_array_size(list)};
    struct dmarc_verdict v;

    snprintf(author.domain, sizeof(author.domain), "%s", text("author"));
    for (size_t i = 0; i < q.dkim_n && i < 64; i++)
        dkim[i] = identifier(json_array_get(list, i));
    int err = dmarc_check(&q, r, &v);
    if (err == OK)
        json_object_update_new(out, dmarc_said(&v));
    return err;
}

static int run_author(struct records *r, json_t *out)
{
    static const char *const faults[] = {"", "missing", "several", "unreadable", "no domain"};
    struct author_verdict v;

    (void)r;
    author_read_value(slice_of(text("value"), json_string_length(json_object_get(line, "value"))), &v);
    json_object_update_new(out, json_pack("{s:s,s:s,s:i}", "fault", faults[v.fault], "domain", v.domain, "mailboxes",
                                          (int)v.mailboxes));
    return OK;
}

static int run_results(struct records *r, json_t *out)
{
    static struct mailauth_verdict v;
    json_t *spf = json_object_get(line, "spf"), *dmarc = json_object_get(line, "dmarc"),
           *dkim = json_object_get(line, "dkim");
    struct buf field;

    (void)r;
    v = (struct mailauth_verdict){.six = address("ip", v.address)};
    (void)address("ip", v.address);
    v.spf.result = result_of(item(spf, 0));
    snprintf(v.spf.domain, sizeof(v.spf.domain), "%s", item(spf, 1));
    v.dmarc.result = result_of(item(dmarc, 0));
    while (strcmp(dmarc_policy_name(v.dmarc.policy), item(dmarc, 1)) != 0)
        v.dmarc.policy++;
    v.dmarc.dkim_aligned = (uint32_t)json_integer_value(json_object_get(line, "aligned"));
    snprintf(v.author.domain, sizeof(v.author.domain), "%s", item(dmarc, 2));
    snprintf(v.dmarc.published, sizeof(v.dmarc.published), "%s", item(dmarc, 2));
    for (; v.dkim.n < json_array_size(dkim); v.dkim.n++) {
        struct dkim_verdict *d = &v.dkim.v[v.dkim.n];
        d->result = result_of(item(json_array_get(dkim, v.dkim.n), 0));
        d->algorithm = DKIM_RSA_SHA256;
        snprintf(d->domain, sizeof(d->domain), "%s", item(json_array_get(dkim, v.dkim.n), 1));
        snprintf(d->selector, sizeof(d->selector), "%s", item(json_array_get(dkim, v.dkim.n), 2));
    }
    buf_init(&field, AUTH_RESULTS_MAX, false);
    bug_if(auth_results_write(&v, text("id"), &field) != OK);
    json_object_set_new(out, "field", json_stringn((const char *)field.data, field.len));
    buf_free(&field);
    return OK;
}

static const struct {
    const char *what;
    int (*run)(struct records *r, json_t *out);
} engines[] = {{"spf", run_spf}, {"dmarc", run_dmarc}, {"author", run_author}, {"results", run_results}};

static void run(json_t *out)
{
    struct records *r = records_create();
    const struct records_question *q;
    int err = ERR_UNSUPPORTED, rounds = 0;

    bug_if(!r);
    for (size_t i = 0; i < sizeof(engines) / sizeof(*engines); i++)
        if (strcmp(engines[i].what, text("what")) == 0)
            while ((err = engines[i].run(r, out)) == ERR_AGAIN) {
                bug_if(records_open(r) == 0);
                while ((q = records_take(r)))
                    answer(r, q);
                rounds++;
            }
    bug_if(err != OK);
    json_object_set_new(out, "rounds", json_integer(rounds));
    json_object_set(out, "asked", asked);
    records_destroy(r);
}

int main(void)
{
    static char in[LINE_MAX_OCTETS];

    while (fgets(in, sizeof(in), stdin)) {
        json_t *out = json_object();
        line = json_loads(in, JSON_ALLOW_NUL, NULL);
        bug_if(!line);
        asked = json_array();
        run(out);
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(out);
        json_decref(asked);
        json_decref(line);
    }
    return 0;
}
