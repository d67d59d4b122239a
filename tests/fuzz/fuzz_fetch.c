/* What comes to the fetcher, and what it says. Input: octet: 0 a question as an asker sends it, whose URL is looked at;
 * 1 a URL by itself; 2 the list of fetch_allow; else an answer to a fetch of that kind. What is taken of a URL leads
 * libcurl to the host that was looked at, by https to port 443, and nowhere else. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/dns/message.h"
#include "server/fetch/message.h"
#include "server/fetcher/guard.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())
enum { QUESTION, URL, ALLOW, TEXT_MAX = 8192 };

/* As libcurl reads it once more, from the beginning. */
static void check_url(const char *url)
{
    char host[GUARD_HOST_MAX + 1], *whole = NULL, *part = NULL;
    CURLU *u, *again = curl_url();

    if (guard_url(url, &u, host) == OK) {
        CHECK(dns_host_valid(host) && strchr(host, '.') && strcspn(strrchr(host, '.'), "0123456789-") > 1);
        CHECK(curl_url_get(u, CURLUPART_URL, &whole, 0) == CURLUE_OK);
        CHECK(again && curl_url_set(again, CURLUPART_URL, whole, CURLU_DISALLOW_USER) == CURLUE_OK);
        CHECK(curl_url_get(again, CURLUPART_HOST, &part, 0) == CURLUE_OK && strcasecmp(part, host) == 0);
        curl_free(part);
        CHECK(curl_url_get(again, CURLUPART_PORT, &part, CURLU_DEFAULT_PORT) == CURLUE_OK && !strcmp(part, "443"));
        curl_free(part);
        CHECK(strncasecmp(url, "https://", 8) == 0 && strncasecmp(url + 8, host, strlen(host)) == 0);
        curl_free(whole);
        curl_url_cleanup(u);
    }
    curl_url_cleanup(again);
}

static void check_question(struct slice s)
{
    static uint8_t out[2 * FETCH_BODY_MAX];
    struct fetch_question q, back;
    struct unpack u;
    struct pack p;

    unpack_init(&u, s.data, s.len);
    if (fetch_question_unpack(&u, &q) != OK)
        return;
    CHECK(fetch_kind_row(q.kind) && !strpbrk(q.url, " \r\n") && !strpbrk(q.type, " \r\n"));
    pack_init(&p, out, sizeof(out));
    fetch_question_pack(&p, &q);
    CHECK(p.len == s.len && memcmp(out, s.data, s.len) == 0);
    unpack_init(&u, out, p.len);
    CHECK(fetch_question_unpack(&u, &back) == OK && back.body.len == q.body.len);
    check_url(q.url);
}

static void check_allow(const char *text)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    uint16_t port, ports[GUARD_PORTS_MAX];
    struct guard *g;

    if (guard_create(text, &g) != OK)
        return;
    CHECK(guard_ports(g, ports) <= GUARD_PORTS_MAX && ports[0] == GUARD_PORT);
    CHECK(*text || !guard_address(g, loopback, sizeof(loopback), &port));
    guard_destroy(g);
}

static void check_answer(unsigned kind, struct slice s)
{
    char type[FETCH_TYPE_MAX + 1];
    struct fetch_answer a;
    struct unpack u;

    unpack_init(&u, s.data, s.len);
    if (fetch_answer_unpack(&u, kind, type, &a) != OK)
        return;
    CHECK(a.status >= 200 && a.status / 100 != 3 && a.body.len <= fetch_kind_row(kind)->body_max);
    CHECK(fetch_type_valid(a.type) && a.type == type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT_MAX];

    if (size < 1 || size > sizeof(text))
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] == QUESTION)
        check_question(slice_of(data + 1, size - 1));
    else if (data[0] == URL)
        check_url(text);
    else if (data[0] == ALLOW)
        check_allow(text);
    else
        check_answer(data[0] - ALLOW, slice_of(data + 1, size - 1));
    return 0;
}
