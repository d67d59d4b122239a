/* letterlock tls-report: what another server says of TLS to our domains (RFC 8460), for people. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cli/cli.h"
#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/mailauth/tls_report.h"

enum { WORD_MAX = 300 };

/* What a stranger wrote, for a terminal; its end is cut. */
static const char *tamed(const char *text, char out[WORD_MAX])
{
    snprintf(out, WORD_MAX, "%s", text && *text ? text : "?");
    cli_tame(out);
    return out;
}

static void print_detail(const struct tls_report_detail *d)
{
    static const struct {
        const char *label;
        size_t at;
    } rows[] = {
        {"at", offsetof(struct tls_report_detail, mx)},
        {"which calls itself", offsetof(struct tls_report_detail, helo)},
        {"address", offsetof(struct tls_report_detail, receiving_ip)},
        {"from", offsetof(struct tls_report_detail, sending_ip)},
        {"because", offsetof(struct tls_report_detail, reason)},
    };
    char text[WORD_MAX];

    printf("    %" PRIu64 " x %s", d->sessions, tamed(d->word, text));
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *value = *(const char *const *)((const char *)d + rows[i].at);
        if (value)
            printf(", %s %s", rows[i].label, tamed(value, text));
    }
    putchar('\n');
}

static void print_policy(const struct tls_report_policy *p)
{
    static const char *const kinds[] = {"a policy of an unknown kind", "no policy", "DANE", "MTA-STS"};
    char text[WORD_MAX];

    printf("  %s, %s: %" PRIu64 " sessions went well, %" PRIu64 " did not\n", tamed(p->domain, text), kinds[p->kind],
           p->successes, p->failures);
    for (size_t i = 0; i < p->ndetails; i++)
        print_detail(&p->details[i]);
}

static void print_report(const struct tls_report *r)
{
    char text[WORD_MAX], begin[DATE_INTERNET_SIZE], end[DATE_INTERNET_SIZE];

    date_write_internet(r->begin, begin);
    date_write_internet(r->end, end);
    printf("%s, %s to %s", tamed(r->organization, text), begin, end);
    if (r->contact)
        printf(", contact %s", tamed(r->contact, text));
    if (r->id)
        printf(", report %s", tamed(r->id, text));
    putchar('\n');
    for (size_t i = 0; i < r->npolicies; i++)
        print_policy(&r->policies[i]);
}

static int one(struct cli *c, const char *file)
{
    struct tls_report_read *r;
    size_t len;
    char *data;
    int err = cli_read_given(file, TLS_REPORT_TEXT_MAX, &data, &len);

    if (err != OK)
        return cli_fail(c, "cannot read %s: %s", file, cli_err_str(err));
    err = tls_report_read(data, len, &r);
    free(data);
    if (err == ERR_LIMIT)
        return cli_fail(c, "%s is larger than a report may be (%d octets, %d when it is packed)", file,
                        TLS_REPORT_TEXT_MAX, TLS_REPORT_PACKED_MAX);
    if (err != OK)
        return cli_fail(c, "%s is no TLS report: give the attachment itself, a file that ends in .json or .json.gz",
                        file);
    print_report(tls_report_of(r));
    tls_report_read_free(r);
    return EXIT_DONE;
}

int command_tls_report(struct cli *c)
{
    return cli_each(c, one);
}
