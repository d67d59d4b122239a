/* Answers with what each of them says: that nothing of it is to be guessed, framed, or sent on to others. */
#include "server/web/web.h"

struct always {
    const char *name, *value;
    bool tls_alone;
};

static const struct always always[] = {
    {"Strict-Transport-Security", "max-age=31536000", true},
    {"X-Content-Type-Options", "nosniff", false},
    {"Referrer-Policy", "no-referrer", false},
    {"Cross-Origin-Opener-Policy", "same-origin", false},
};

static const char *const policies[] = {
    [REPLY_PLAIN] = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    [REPLY_PAGE] = "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
                   "form-action 'none'",
};

static const char form_policy[] = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

static bool add_always(struct MHD_Response *r, enum reply_kind kind, unsigned flags, bool tls)
{
    const bool any = flags & HTTP_ANY_ORIGIN;
    bool ok = MHD_add_response_header(r, "Content-Security-Policy", flags & HTTP_FORM ? form_policy : policies[kind]) ==
              MHD_YES;

    for (size_t i = 0; ok && i < sizeof(always) / sizeof(*always); i++)
        if (tls || !always[i].tls_alone)
            ok = MHD_add_response_header(r, always[i].name, always[i].value) == MHD_YES;
    if (ok)
        ok =
            MHD_add_response_header(r, "Cross-Origin-Resource-Policy", any ? "cross-origin" : "same-origin") == MHD_YES;
    if (ok && any)
        ok = MHD_add_response_header(r, "Access-Control-Allow-Origin", "*") == MHD_YES;
    return ok;
}

struct MHD_Response *reply_create(const struct http_reply *a, enum reply_kind kind, unsigned row_flags, bool tls)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(a->body.len, (void *)a->body.data,
                                        a->body_lasts ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY);
    bool ok = r && add_always(r, kind, row_flags, tls);

    if (ok && a->type)
        ok = MHD_add_response_header(r, "Content-Type", a->type) == MHD_YES;
    for (size_t i = 0; ok && i < a->nfields; i++)
        ok = MHD_add_response_header(r, a->fields[i].name, a->fields[i].value) == MHD_YES;
    if (ok)
        return r;
    if (r)
        MHD_destroy_response(r);
    return NULL;
}
