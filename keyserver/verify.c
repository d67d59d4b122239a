/* The link out of the mail. Programs that look through mail fetch links, so the page has a button, and only that
 * publishes. The page is the same for every token: whether it is one is first looked up when the button was pressed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyserver/impl.h"
#include "server/core/error.h"
#include "server/keys/upload.h"

static void answer_page(struct http_exchange *x, unsigned status, const char *title, const char *rest)
{
    static const struct http_field fields[] = {{"Cache-Control", "no-store"}};
    char page[1024];
    snprintf(page, sizeof(page),
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width\">\n<title>%s</title>\n</head>\n<body>\n"
             "<h1>%s</h1>\n%s</body>\n</html>\n",
             title, title, rest);
    http_answer(x, &(struct http_reply){.status = status,
                                        .type = "text/html; charset=utf-8",
                                        .body = slice_str(page),
                                        .fields = fields,
                                        .nfields = 1});
}

void keyserver_verify_page(void *service, struct http_exchange *x, const struct http_request *r)
{
    (void)service;
    (void)r;
    answer_page(x, 200, "Publish your key?",
                "<p>Others will find the key that the mail names by your address, and encrypt to it.</p>\n"
                "<form method=\"post\">\n<button name=\"publish\" value=\"yes\">Publish it</button>\n</form>\n");
}

static void answer_status(struct http_exchange *x, int status)
{
    static const struct {
        int err;
        unsigned status;
        const char *title, *rest;
    } rows[] = {
        {OK, 200, "Your key is published", "<p>Others find it by your address from now on.</p>\n"},
        {ERR_NOT_FOUND, 404, "This link is over", "<p>It works once, and for a day.</p>\n"},
        {ERR_CONFLICT, 409, "This key is not published",
         "<p>It is published so already, or it was revoked meanwhile.</p>\n"},
        {ERR_DENIED, 409, "This key is not published", "<p>Its account is not to be found, or not by this key.</p>\n"},
        {ERR_REFUSED, 409, "This key is not published", "<p>It is not fit for that.</p>\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].err == status) {
            answer_page(x, rows[i].status, rows[i].title, rows[i].rest);
            return;
        }
    answer_page(x, 503, "Not now", "<p>Please try it again in some minutes.</p>\n");
}

/* ---- the button ---- */

struct word {
    struct keyserver *k;
    struct http_exchange *x;
    uint64_t id;
};

static void on_done(void *arg, int status)
{
    struct word *w = arg;
    answer_status(w->x, status);
    free(w);
}

static void on_gone(void *arg)
{
    struct word *w = arg;
    w->k->uploads->forget(w->k->uploads->arg, w->id);
    free(w);
}

void keyserver_verify(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct keyserver *k = service;
    const struct keyserver_uploads *u = k->uploads;
    uint8_t token[UPLOAD_TOKEN_SIZE];
    if (!u->may(u->arg, r->peer)) {
        http_answer_status(x, 429);
        return;
    }
    if (!keys_token_read(r->params[0], token)) {
        answer_status(x, ERR_NOT_FOUND);
        return;
    }
    struct word *w = malloc(sizeof(*w));
    if (w)
        *w = (struct word){.k = k, .x = x};
    if (!w || u->confirm(u->arg, token, on_done, w, &w->id) != OK) {
        free(w);
        answer_status(x, ERR_AGAIN);
        return;
    }
    http_on_gone(x, on_gone, w);
}
