/* protect_tool POLICY < mail: the protected payload on stdout; protect_tool outer POLICY: the outer header block;
 * protect_tool unseal: the inverse; protect_tool render OUTER < packets: PGP/MIME around them; protect_tool capsule:
 * the capsule of a mail. For scripts. */
#include "server/format/capsule.h"
#include "server/format/render.h"
#include "tests/support/protect_property.h"

static int read_packets(void *arg, uint64_t offset, uint8_t *out, size_t len)
{
    memcpy(out, (const uint8_t *)arg + offset, len);
    return OK;
}

static int render(uint8_t *packets, size_t len, const char *outer)
{
    static uint8_t out[96 << 20];
    struct render_source s = {.version = RENDER_VERSION,
                              .message = 7,
                              .outer = (const uint8_t *)outer,
                              .outer_len = strlen(outer),
                              .packets_len = len,
                              .read = read_packets,
                              .arg = packets};
    size_t n;
    return render_range(&s, 0, sizeof(out), out, &n) == OK && n == render_size(1, strlen(outer), len) &&
                   fwrite(out, 1, n, stdout) == n
               ? 0
               : 1;
}

static int capsule(const uint8_t *mail, size_t len)
{
    struct capsule_params p = {.sealed_by = "mail.example.org",
                               .sealed_at = 1700000000,
                               .tls = "TLSv1.3",
                               .auth_results = "none",
                               .warnings = ""};
    struct buf out;
    buf_init(&out, CAPSULE_MAX, true);
    struct header_view v;
    int err = property_parse(mail, len < 65536 ? len : 65536, &v);
    if (err == OK)
        err = capsule_make(&p, &v, &out);
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    return err == OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    static uint8_t mail[64 << 20];
    static char outer[OUTER_MAX + 1];
    char why[256];
    enum header_policy policy;
    size_t len = fread(mail, 1, sizeof(mail), stdin), n;
    uint8_t *payload;
    if (argc == 2 && !strcmp(argv[1], "unseal"))
        return header_unprotect(mail, len, &n) == OK && fwrite(mail, 1, n, stdout) == n ? 0 : 1;
    if (argc == 3 && !strcmp(argv[1], "render"))
        return render(mail, len, argv[2]);
    if (argc == 2 && !strcmp(argv[1], "capsule"))
        return capsule(mail, len);
    if (argc < 2 || header_policy_parse(argv[argc - 1], &policy) != OK)
        return 2;
    if (property_check(mail, len, policy, 4096, why, &payload, &n, outer) != 0) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    if (!strcmp(argv[1], "outer"))
        fputs(outer, stdout);
    else
        fwrite(payload, 1, n, stdout);
    free(payload);
    return 0;
}
