/* letterlock dmarc-report: what another server says of mail in our domains' names (RFC 9990), for people. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cli/cli.h"
#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/mailauth/dmarc_report.h"

/* What a stranger wrote, for a terminal. */
static const char *tamed(const char *text, char out[DMARC_REPORT_WORDS_CAP])
{
    snprintf(out, DMARC_REPORT_WORDS_CAP, "%s", *text ? text : "?");
    cli_tame(out);
    return out;
}

static void print_report(const struct dmarc_report *r)
{
    char text[DMARC_REPORT_WORDS_CAP], begin[DATE_INTERNET_SIZE], end[DATE_INTERNET_SIZE];

    date_write_internet(r->begin, begin);
    date_write_internet(r->end, end);
    printf("%s, %s to %s", tamed(r->organization, text), begin, end);
    printf(", report %s\n", tamed(r->id, text));
    printf("  %s: %" PRIu64 " messages, %" PRIu64 " passed (%" PRIu64 " by DKIM, %" PRIu64 " by SPF), %" PRIu64
           " did not; %" PRIu64 " quarantined, %" PRIu64 " rejected\n",
           r->domain, r->messages, r->passed, r->by_dkim, r->by_spf, r->messages - r->passed, r->quarantined,
           r->rejected);
}

static int one(struct cli *c, const char *file)
{
    struct dmarc_report r;
    size_t len;
    char *data;
    int err = cli_read_given(file, DMARC_REPORT_TEXT_MAX, &data, &len);

    if (err != OK)
        return cli_fail(c, "cannot read %s: %s", file, cli_err_str(err));
    err = dmarc_report_read(data, len, &r);
    if (err == ERR_FORMAT)
        err = dmarc_report_read_mail(data, len, &r);
    free(data);
    if (err == ERR_LIMIT)
        return cli_fail(c, "%s is larger than a report may be (%d octets, %d when it is packed)", file,
                        DMARC_REPORT_TEXT_MAX, DMARC_REPORT_PACKED_MAX);
    if (err != OK)
        return cli_fail(c,
                        "%s is no DMARC report: give the mail that brought it, or its attachment (.xml, .xml.gz, .zip)",
                        file);
    print_report(&r);
    return EXIT_DONE;
}

int command_dmarc_report(struct cli *c)
{
    return cli_each(c, one);
}
