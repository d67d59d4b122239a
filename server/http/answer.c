#include "server/http/route.h"

#include <stdio.h>

static const struct {
    unsigned status;
    const char *text;
} texts[] = {
    {400, "This request is malformed."},
    {403, "This is not allowed."},
    {404, "There is no such page here."},
    {405, "This page does not take that method."},
    {408, "This request took too long."},
    {411, "This request does not say the length of its body."},
    {413, "This request is too large."},
    {414, "This address is too long."},
    {415, "This kind of content is not taken here."},
    {417, "This expectation cannot be met."},
    {421, "This host is not served here."},
    {422, "This content cannot be used."},
    {429, "Too many requests. Try again later."},
    {431, "This request has too many header fields, or too long ones."},
    {500, "Something went wrong on this server."},
    {501, "This server does not know that method or coding."},
    {503, "This server is busy. Try again later."},
    {505, "This server speaks HTTP/1.1."},
};

const char *http_status_text(unsigned status)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (texts[i].status == status)
            return texts[i].text;
    return status < 400 ? "" : "This request was refused.";
}

void http_answer(struct http_exchange *x, const struct http_reply *a)
{
    x->gone = NULL;
    x->answer(x, a);
}

void http_answer_status(struct http_exchange *x, unsigned status)
{
    char line[128];
    int len = snprintf(line, sizeof(line), "%s\n", http_status_text(status));

    http_answer(x, &(struct http_reply){.status = status,
                                        .type = "text/plain; charset=utf-8",
                                        .body = slice_of(line, (size_t)len)});
}

void http_on_gone(struct http_exchange *x, void (*gone)(void *arg), void *arg)
{
    x->gone = gone;
    x->gone_arg = arg;
}
