#include "server/fetcher/web.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "server/core/error.h"

enum { REDIRECTION = 3, READ_MAX = 16 * 1024, PINS_MAX = 1024 };

struct web {
    struct loop *loop;
    struct tls_roots *roots;
    CURLM *multi;
    struct timer *timer;
};

struct web_transfer {
    struct web *web;
    CURL *easy;
    struct curl_slist *headers, *pins;
    const union web_address *to;
    size_t nto;
    const struct fetch_kind_row *kind;
    int err; /* why it was ended by us */
    size_t header_octets, header_lines;
    web_fn *fn;
    void *arg;
    size_t len;
    uint8_t body[]; /* kind->body_max octets */
};

/* ---- what libcurl asks of us ---- */

static bool same_host(const union web_address *a, const struct sockaddr *b)
{
    if (a->any.sa_family != b->sa_family)
        return false;
    if (b->sa_family == AF_INET)
        return memcmp(&a->v4.sin_addr, &((const struct sockaddr_in *)(const void *)b)->sin_addr, 4) == 0;
    return memcmp(&a->v6.sin6_addr, &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr, 16) == 0;
}

/* The one place where a socket is made: whatever libcurl has in mind, it goes to an address that was given, or
 * nowhere. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    const struct web_transfer *t = arg;
    struct sockaddr *to = &a->addr;

    if (purpose != CURLSOCKTYPE_IPCXN)
        return CURL_SOCKET_BAD;
    for (size_t i = 0; i < t->nto; i++)
        if (same_host(&t->to[i], to)) {
            if (to->sa_family == AF_INET)
                ((struct sockaddr_in *)(void *)to)->sin_port = t->to[i].v4.sin_port;
            else
                ((struct sockaddr_in6 *)(void *)to)->sin6_port = t->to[i].v6.sin6_port;
            return socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        }
    return CURL_SOCKET_BAD;
}

static CURLcode on_context(CURL *easy, void *ctx, void *arg)
{
    if (!arg)
        return CURLE_SSL_CERTPROBLEM;
    tls_roots_use(arg, ctx);
    return CURLE_OK;
}

static size_t end_with(struct web_transfer *t, int err)
{
    t->err = err;
    return 0; /* fewer than came: libcurl gives up */
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct web_transfer *t = arg;

    t->header_octets += n;
    if (++t->header_lines > WEB_HEADERS_LINES || t->header_octets > WEB_HEADERS_MAX)
        return end_with(t, ERR_LIMIT);
    return n;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct web_transfer *t = arg;

    if (n > t->kind->body_max - t->len)
        return end_with(t, ERR_LIMIT);
    memcpy(t->body + t->len, data, n);
    t->len += n;
    return n;
}

/* ---- the end of a transfer ---- */

static const struct {
    CURLcode code;
    int err;
} ends[] = {
    {CURLE_OK, OK},
    {CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT},
    {CURLE_FILESIZE_EXCEEDED, ERR_LIMIT},
    {CURLE_OUT_OF_MEMORY, ERR_AGAIN},
    {CURLE_SSL_CONNECT_ERROR, ERR_CRYPTO},
    {CURLE_PEER_FAILED_VERIFICATION, ERR_CRYPTO},
    {CURLE_SSL_CIPHER, ERR_CRYPTO},
    {CURLE_SSL_CERTPROBLEM, ERR_CRYPTO},
    {CURLE_SSL_ISSUER_ERROR, ERR_CRYPTO},
    {CURLE_UNSUPPORTED_PROTOCOL, ERR_FORMAT}, /* HTTP/0.9 */
    {CURLE_WEIRD_SERVER_REPLY, ERR_FORMAT},
    {CURLE_BAD_CONTENT_ENCODING, ERR_FORMAT},
    {CURLE_PARTIAL_FILE, ERR_FORMAT},
};

static int err_of(const struct web_transfer *t, CURLcode code)
{
    if (t->err != OK)
        return t->err;
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
        if (ends[i].code == code)
            return ends[i].err;
    return ERR_AGAIN; /* refused, reset, ended early */
}

static bool is_coded(CURL *easy)
{
    struct curl_header *h;

    return curl_easy_header(easy, "Content-Encoding", 0, CURLH_HEADER, -1, &h) == CURLHE_OK &&
           strcasecmp(h->value, "identity") != 0;
}

/* In lower case, without parameters (RFC 9110 section 8.3.1). */
static void take_type(CURL *easy, char out[FETCH_TYPE_MAX + 1])
{
    const char *type = NULL;
    size_t n = 0;

    if (curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type)
        n = strcspn(type, "; \t");
    if (n > FETCH_TYPE_MAX)
        n = 0;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(type[i] >= 'A' && type[i] <= 'Z' ? type[i] | 0x20 : type[i]);
    out[n] = '\0';
    if (!fetch_type_valid(out))
        out[0] = '\0';
}

static int read_answer(const struct web_transfer *t, char type[FETCH_TYPE_MAX + 1], struct fetch_answer *ret)
{
    long status = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 == REDIRECTION)
        return ERR_MOVED; /* where a page has gone is not followed, for no kind (RFC 8461 section 3.3) */
    take_type(t->easy, type);
    if (status < 200 || status > 599 || is_coded(t->easy))
        return ERR_FORMAT;
    *ret = (struct fetch_answer){.status = (uint32_t)status, .type = type, .body = slice_of(t->body, t->len)};
    return OK;
}

static void transfer_free(struct web_transfer *t)
{
    if (t->easy)
        curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->pins);
    free(t);
}

static void transfer_end(struct web_transfer *t, CURLcode code)
{
    char type[FETCH_TYPE_MAX + 1];
    struct fetch_answer answer;
    int err = err_of(t, code);

    if (err == OK)
        err = read_answer(t, type, &answer);
    (void)curl_multi_remove_handle(t->web->multi, t->easy);
    curl_easy_cleanup(t->easy); /* what it was asked with may go now */
    t->easy = NULL;
    t->fn(t->arg, err, err == OK ? &answer : NULL);
    transfer_free(t);
}

static void collect(struct web *w)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(w->multi, &left))) {
        struct web_transfer *t = NULL;
        if (m->msg == CURLMSG_DONE && curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t) == CURLE_OK && t)
            transfer_end(t, m->data.result);
    }
}

/* ---- the loop ---- */

struct socket_watch {
    struct web_transfer *transfer;
    struct watch *watch;
    curl_socket_t fd;
};

/* Before anything is decrypted or decoded: what becomes nothing (a chunk's extension, a compressed emptiness) would
 * pass all other bounds. */
static bool too_much(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_bytes_received > WEB_RECEIVED_MAX;
}

static void on_event(void *arg, unsigned events)
{
    const struct socket_watch *s = arg;
    struct web *w = s->transfer->web;
    int running;

    if (events & LOOP_READ && too_much(s->fd)) {
        s->transfer->err = ERR_LIMIT;
        transfer_end(s->transfer, CURLE_OK); /* and s */
        return;
    }
    (void)curl_multi_socket_action(w->multi, s->fd,
                                   (events & LOOP_READ ? CURL_CSELECT_IN : 0) |
                                       (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0),
                                   &running);
    collect(w); /* s may be gone */
}

static void on_timer(void *arg)
{
    struct web *w = arg;
    int running;

    (void)curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(w);
}

static int on_timeout(CURLM *multi, long ms, void *arg)
{
    struct web *w = arg;

    timer_set(w->timer, ms < 0 ? 0 : ms == 0 ? 1 : (uint64_t)ms);
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *mine)
{
    struct web *w = arg;
    struct socket_watch *s = mine;
    struct web_transfer *t = NULL;
    const unsigned events = (what & CURL_POLL_IN ? LOOP_READ : 0U) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0U);

    if (what == CURL_POLL_REMOVE) {
        if (s)
            watch_destroy(s->watch);
        free(s);
        return 0;
    }
    if (s) {
        watch_set(s->watch, events);
        return 0;
    }
    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t) == CURLE_OK && t)
        s = calloc(1, sizeof(*s));
    if (s)
        *s = (struct socket_watch){.transfer = t, .fd = fd, .watch = watch_create(w->loop, fd, events, on_event, s)};
    if (s && s->watch && curl_multi_assign(w->multi, fd, s) == CURLM_OK)
        return 0;
    if (s)
        watch_destroy(s->watch);
    free(s);
    return -1;
}

/* ---- the beginning of a transfer ---- */

/* "+HOST:443:ADDRESS,ADDRESS": what libcurl takes for the name's addresses. */
static int make_pins(struct web_transfer *t, const char *host)
{
    char text[PINS_MAX], address[INET6_ADDRSTRLEN];
    size_t n = (size_t)snprintf(text, sizeof(text), "+%s:443:", host);

    for (size_t i = 0; i < t->nto; i++) {
        const bool v6 = t->to[i].any.sa_family == AF_INET6;
        const void *a = v6 ? (const void *)&t->to[i].v6.sin6_addr : &t->to[i].v4.sin_addr;

        if (!inet_ntop(v6 ? AF_INET6 : AF_INET, a, address, sizeof(address)))
            return ERR_MEMORY;
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s%s%s", i ? "," : "", v6 ? "[" : "", address,
                              v6 ? "]" : "");
    }
    t->pins = curl_slist_append(NULL, text);
    return t->pins ? OK : ERR_MEMORY;
}

static int add_header(struct web_transfer *t, const char *line)
{
    struct curl_slist *more = curl_slist_append(t->headers, line);

    if (!more)
        return ERR_MEMORY;
    t->headers = more;
    return OK;
}

static int make_headers(struct web_transfer *t, const char *type)
{
    char line[FETCH_TYPE_MAX + 32];
    int err = add_header(t, "Accept-Encoding: identity");

    if (err == OK && t->kind->post) {
        snprintf(line, sizeof(line), "Content-Type: %s", type);
        err = add_header(t, line);
        if (err == OK)
            err = add_header(t, "Expect:"); /* nobody is waited for before the body */
    }
    return err;
}

/* Options of libcurl: one that it does not take is a fault of the whole. */
#define SET(option, value) rc |= (unsigned)curl_easy_setopt(t->easy, (option), (value))

static unsigned set_way(struct web_transfer *t, const struct web_request *q)
{
    unsigned rc = 0;

    SET(CURLOPT_CURLU, q->url);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PROXY, ""); /* nor one of the environment's */
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_RESOLVE, t->pins);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, t);
    SET(CURLOPT_FRESH_CONNECT, 1L); /* a connection was made to one question's addresses */
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)q->connect_ms);
    SET(CURLOPT_NOSIGNAL, 1L);
    return rc;
}

static unsigned set_tls(struct web_transfer *t)
{
    unsigned rc = 0;

    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    SET(CURLOPT_CAINFO, NULL); /* the roots are in memory */
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_SSL_CTX_FUNCTION, on_context);
    SET(CURLOPT_SSL_CTX_DATA, t->web->roots);
    return rc;
}

static unsigned set_content(struct web_transfer *t, const struct web_request *q)
{
    unsigned rc = 0;

    SET(CURLOPT_PRIVATE, t);
    SET(CURLOPT_USERAGENT, "Letterlock");
    SET(CURLOPT_HTTPHEADER, t->headers);
    SET(CURLOPT_BUFFERSIZE, (long)READ_MAX);
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->kind->body_max);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    if (t->kind->post) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
        SET(CURLOPT_POSTFIELDS, q->body.len ? (const char *)q->body.data : ""); /* NULL would be stdin */
    }
    return rc;
}

static int begin(struct web_transfer *t, const struct web_request *q)
{
    int err = make_pins(t, q->host);

    if (err == OK)
        err = make_headers(t, q->type);
    if (err == OK && !(t->easy = curl_easy_init()))
        err = ERR_MEMORY;
    if (err == OK && (set_way(t, q) | set_tls(t) | set_content(t, q)))
        err = ERR_MEMORY;
    if (err == OK && curl_multi_add_handle(t->web->multi, t->easy) != CURLM_OK)
        err = ERR_MEMORY;
    return err;
}

int web_begin(struct web *w, const struct web_request *q, web_fn *fn, void *arg, struct web_transfer **ret)
{
    struct web_transfer *t = calloc(1, sizeof(*t) + q->kind->body_max);
    int err;

    if (!t)
        return ERR_MEMORY;
    t->web = w;
    t->kind = q->kind;
    t->to = q->to;
    t->nto = q->nto;
    t->fn = fn;
    t->arg = arg;
    err = begin(t, q);
    if (err == OK)
        *ret = t;
    else
        transfer_free(t);
    return err;
}

void web_cancel(struct web_transfer *t)
{
    (void)curl_multi_remove_handle(t->web->multi, t->easy);
    transfer_free(t);
}

struct web *web_create(struct loop *l, struct tls_roots *roots)
{
    struct web *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->loop = l;
    w->roots = roots;
    w->timer = timer_create_in(l, on_timer, w);
    if (w->timer && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        w->multi = curl_multi_init();
    if (w->multi && curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
        curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w) == CURLM_OK &&
        curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, on_timeout) == CURLM_OK &&
        curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w) == CURLM_OK)
        return w;
    web_destroy(w);
    return NULL;
}

void web_destroy(struct web *w)
{
    if (!w)
        return;
    if (w->multi)
        (void)curl_multi_cleanup(w->multi);
    timer_destroy(w->timer);
    free(w);
}
