/* What submission makes of a mail's header, for test_cleaning.py. Standard input: a path a line, of mails with CRLF.
 * The * cleaned mail goes beside each, as PATH.out. A line printed for each: "ok", or the error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/ingest/submission/clean.h"

enum { MAIL_MAX = 64 * 1024 * 1024 };

static int clean(const uint8_t *mail, size_t len, FILE *out)
{
    static struct header_field fields[HEADER_FIELDS_MAX];
    static const uint8_t key[32];
    const struct clean_params p = {.now = 1792000000,
                                   .id = "<0123456789abcdef@sender.test>",
                                   .key = key,
                                   .own_domain = "sender.test"};
    struct clean_header h;
    uint8_t *head;
    int err = submission_header_read(mail, len, fields, &h);

    if (err != OK)
        return err;
    head = malloc(submission_clean_max(&h, &p));
    if (!head)
        return ERR_MEMORY;
    fwrite(head, 1, submission_clean(&h, &p, head), out);
    fwrite(mail + h.len, 1, len - h.len, out);
    free(head);
    return OK;
}

int main(void)
{
    uint8_t *mail = malloc(MAIL_MAX);
    char path[4096], to[4200];

    while (mail && fgets(path, sizeof(path), stdin)) {
        FILE *in, *out;
        size_t len;
        int err;
        path[strcspn(path, "\n")] = '\0';
        snprintf(to, sizeof(to), "%s.out", path);
        in = fopen(path, "rb");
        out = fopen(to, "wb");
        if (!in || !out) {
            perror(path);
            return 1;
        }
        len = fread(mail, 1, MAIL_MAX, in);
        fclose(in);
        err = clean(mail, len, out);
        fclose(out);
        puts(err == OK ? "ok" : err_str(err));
    }
    free(mail);
    return 0;
}
