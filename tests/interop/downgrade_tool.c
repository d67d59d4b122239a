/* Reads a path a line, of mails, and writes beside each, as PATH.7bit, what mail_downgrade makes of it. Prints "ok" or
 * an error a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/downgrade.h"

enum { MAIL_MAX = 64 * 1024 * 1024 };

static void write_out(const char *path, const struct secmem_msg *m)
{
    char name[4200];
    FILE *f;

    snprintf(name, sizeof(name), "%s.7bit", path);
    f = fopen(name, "wb");
    if (!f)
        exit(1);
    for (const struct secmem_chunk *c = m->first; c; c = c->next)
        fwrite(c->data, 1, c->len, f);
    fclose(f);
}

int main(void)
{
    static char line[4096];
    char *mail = malloc(MAIL_MAX);

    while (mail && fgets(line, sizeof(line), stdin)) {
        struct secmem_msg out = {0};
        line[strcspn(line, "\n")] = '\0';
        FILE *f = fopen(line, "rb");
        if (!f)
            return 1;
        const struct iovec piece = {mail, fread(mail, 1, MAIL_MAX, f)};
        fclose(f);
        int err = mail_downgrade(&piece, 1, true, &out);
        if (err == OK)
            write_out(line, &out);
        puts(err == OK ? "ok" : err_str(err));
        secmem_msg_release(&out);
    }
    free(mail);
    return 0;
}
