/* Verifies mails for tests that compare verdicts with others' programs. KEYS: a file of lines, a name, a TAB and a TXT
 * record of it; "?" instead of a record: DNS cannot tell. Standard input: a path a line, of mails with CRLF. A line
 * printed for each: signatures, each as RESULT/REASON-NUMBER/DOMAIN/SELECTOR/TEXT, a TAB, and the chain as
 * RESULT/REASON-NUMBER/SETS/FAILED/OLDEST-PASS. With a number behind KEYS the first mail alone, so many times, and what
 * one time took of the processor in microseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/mailauth/dkim_verify.h"
#include "server/mailauth/whole_header.h"

enum { MAIL_MAX = 64 * 1024 * 1024, RECORDS_MAX = 8 };

static char *keys;
static uint8_t mail[MAIL_MAX];

static char *read_whole(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *s;
    size_t n;

    if (!f || !(s = malloc(MAIL_MAX + 1))) {
        perror(path);
        exit(1);
    }
    n = fread(s, 1, MAIL_MAX, f);
    s[n] = '\0';
    fclose(f);
    return s;
}

/* Names are in lower case. */
static void answer(struct records *r, const struct records_question *q)
{
    const size_t len = strlen(q->name);
    struct records_value v[RECORDS_MAX];
    struct records_answer a = {.err = OK, .v = v};

    for (const char *line = keys, *next; *line; line = next) {
        const size_t line_len = strcspn(line, "\n");
        next = line + line_len + (line[line_len] == '\n');
        if (line_len <= len || memcmp(line, q->name, len) != 0 || line[len] != '\t')
            continue;
        struct slice record = slice_of(line + len + 1, line_len - len - 1);
        if (record.len == 1 && record.data[0] == '?')
            a.err = ERR_AGAIN;
        if (a.n < RECORDS_MAX)
            v[a.n++] = (struct records_value){.name = "", .data = record};
    }
    a.exists = a.n > 0;
    records_put(r, q, &a);
}

/* In three pieces, cut where `cut` says, as a message in memory is. */
static void verify(size_t len, size_t cut, struct dkim_verdicts *ret)
{
    const size_t a = len ? cut * 7919 % len : 0, b = a + (len - a) / 2;
    const struct iovec pieces[] = {{mail, a}, {mail + a, b - a}, {mail + b, len - b}};
    const struct records_question *q;
    struct records *r = records_create();
    struct whole_header h;
    struct dkim_check *c;
    const int err = whole_header_read(&h, pieces, 3);

    if (!r || dkim_check_create(err == OK ? &h.view : NULL, pieces, 3, (uint64_t)time(NULL), &c) != OK)
        exit(1);
    whole_header_free(&h);
    while (dkim_check_judge(c, r, ret) == ERR_AGAIN)
        while ((q = records_take(r)))
            answer(r, q);
    dkim_check_destroy(c);
    records_destroy(r);
}

static void print(const struct dkim_verdicts *v)
{
    for (size_t i = 0; i < v->n; i++)
        printf("%s%s/%u/%s/%s/%s", i ? "; " : "", auth_result_name(v->v[i].result), v->v[i].reason, v->v[i].domain,
               v->v[i].selector, dkim_reason_text(v->v[i].reason));
    printf("%s\t%s/%u/%u/%u/%u\n", v->more ? " and more" : "", auth_result_name(v->arc.result), v->arc.reason,
           v->arc.sets, v->arc.failed, v->arc.oldest_pass);
}

static size_t read_mail(const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f) {
        perror(path);
        exit(1);
    }
    n = fread(mail, 1, MAIL_MAX, f);
    fclose(f);
    return n;
}

static void measure(size_t len, long times)
{
    struct timespec from, to;
    struct dkim_verdicts v;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (long i = 0; i < times; i++)
        verify(len, 0, &v);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    print(&v);
    printf("%.2f us\n",
           ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / 1e3 / (double)times);
}

int main(int argc, char **argv)
{
    static char line[4096];
    struct dkim_verdicts v;

    if (argc < 2)
        return 2;
    keys = read_whole(argv[1]);
    for (size_t n = 0; fgets(line, sizeof(line), stdin); n++) {
        line[strcspn(line, "\n")] = '\0';
        size_t len = read_mail(line);
        if (argc > 2) {
            measure(len, atol(argv[2]));
            break;
        }
        verify(len, n, &v);
        print(&v);
    }
    free(keys);
    return 0;
}
