/* The search of audit: every byte of every file below a folder against a list of strings, each as it is and in
 * base64. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/cli/cli.h"

enum { CANARIES_MAX = 10000, CANARY_MIN = 6, CANARY_MAX = 1024, LIST_MAX = 16 << 20, WINDOW = 1 << 20 };
enum { NEEDLE_MAX = CANARY_MAX * 2 };

/* A canary as it may stand in a file: itself, or one of its three alignments in base64 without the characters that
 * depend on neighbours. */
struct needle {
    char *text;
    size_t len, line;
    const char *form;
};

struct canaries {
    struct needle *needle;
    size_t n, cap, longest;
    uint8_t window[WINDOW + NEEDLE_MAX]; /* what was kept of the last piece, then the next one */
};

static int add_needle(struct canaries *k, const char *text, size_t len, size_t line, const char *form)
{
    if (k->n == k->cap) {
        size_t cap = k->cap ? k->cap * 2 : 64;
        struct needle *larger = realloc(k->needle, cap * sizeof(*larger));
        if (!larger)
            return ERR_MEMORY;
        k->needle = larger;
        k->cap = cap;
    }
    struct needle n = {malloc(len), len, line, form};
    if (!n.text)
        return ERR_MEMORY;
    memcpy(n.text, text, len);
    k->needle[k->n++] = n;
    k->longest = len > k->longest ? len : k->longest;
    return OK;
}

static int add_canary(struct canaries *k, const char *text, size_t len, size_t line)
{
    int err = add_needle(k, text, len, line, "");
    for (size_t shift = 0; shift < 3 && !err; shift++) {
        uint8_t raw[CANARY_MAX + 2] = {0};
        char b64[NEEDLE_MAX];
        memcpy(raw + shift, text, len);
        sodium_bin2base64(b64, sizeof(b64), raw, shift + len, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
        /* Characters made of the canary's bits alone. */
        size_t first = (shift * 8 + 5) / 6, last = (shift + len) * 8 / 6;
        err = add_needle(k, b64 + first, last - first, line, " (base64)");
    }
    return err;
}

static int add_lines(const struct cli *c, struct canaries *k, const char *path, const char *text)
{
    size_t line = 0;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\r\n");
        line++;
        if (n && (n < CANARY_MIN || n > CANARY_MAX || line > CANARIES_MAX))
            return cli_fail(c, "%s line %zu: a canary has %d to %d bytes, and there are at most %d", path, line,
                            CANARY_MIN, CANARY_MAX, CANARIES_MAX);
        if (n && add_canary(k, p, n, line))
            return cli_fail(c, "out of memory");
        p += n;
        p += *p == '\r';
        p += *p == '\n';
    }
    return k->n ? EXIT_DONE : cli_fail(c, "%s has no canary in it: one a line", path);
}

int canaries_read(const struct cli *c, const char *path, struct canaries **ret)
{
    struct canaries *k = calloc(1, sizeof(*k));
    char *text;
    size_t len;
    int rc = k ? EXIT_DONE : cli_fail(c, "out of memory");
    if (!rc && path) {
        int err = cli_read_file(path, LIST_MAX, &text, &len);
        if (err)
            rc =
                cli_fail(c, "cannot read %s: %s", path, err == ERR_LIMIT ? "it is larger than 16 MB" : strerror(errno));
        else if (strlen(text) != len)
            rc = cli_fail(c, "%s is not a text: it has a NUL in it", path);
        else
            rc = add_lines(c, k, path, text);
        if (!err)
            free(text);
    }
    if (rc) {
        canaries_destroy(k);
        return rc;
    }
    *ret = k;
    return EXIT_DONE;
}

void canaries_destroy(struct canaries *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++)
        free(k->needle[i].text);
    free(k->needle);
    free(k);
}

struct search {
    struct canaries *k;
    struct canary_counts *counts;
};
static struct search walking; /* nftw hands its callback no argument */

/* at: the window's place in the file; the first `from` of its len bytes were searched before. */
static void search_window(const char *path, uint64_t at, size_t len, size_t from)
{
    const struct canaries *k = walking.k;
    for (size_t i = 0; i < k->n; i++) {
        const struct needle *n = &k->needle[i];
        /* A match that ends inside what the last window showed was reported then. */
        const uint8_t *p = k->window + (from >= n->len ? from - n->len + 1 : 0), *hit;
        while ((hit = memmem(p, (size_t)(k->window + len - p), n->text, n->len))) {
            walking.counts->found++;
            printf("%s: canary of line %zu in the clear%s at byte %" PRIu64 "\n", path, n->line, n->form,
                   at + (uint64_t)(hit - k->window));
            p = hit + 1;
        }
    }
}

static void cannot_read(const char *path)
{
    walking.counts->unread++;
    printf("%s: cannot be read: %s\n", path, strerror(errno));
}

static void search_fd(const char *path, int fd)
{
    struct canaries *k = walking.k;
    uint64_t at = 0;
    size_t keep = 0;
    ssize_t n;
    while ((n = read(fd, k->window + keep, WINDOW)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        size_t len = keep + (size_t)n;
        search_window(path, at, len, keep);
        walking.counts->bytes += (uint64_t)n;
        keep = !k->longest ? 0 : len < k->longest - 1 ? len : k->longest - 1;
        memmove(k->window, k->window + len - keep, keep);
        at += len - keep;
    }
    if (n < 0)
        cannot_read(path);
}

static int search_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    if (type == FTW_DNR || type == FTW_NS) {
        cannot_read(path);
        return 0;
    }
    if (type != FTW_F || !S_ISREG(st->st_mode))
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        if (errno != ENOENT)
            cannot_read(path);
        return 0;
    }
    walking.counts->files++;
    search_fd(path, fd);
    close(fd);
    return 0;
}

int canaries_search(struct canaries *k, const char *dir, struct canary_counts *counts)
{
    walking = (struct search){k, counts};
    return nftw(dir, search_file, 16, FTW_PHYS) ? errno : 0;
}
