/* published_fill DIR KEYRING TIME: fills the directory of published certificates of an instance that is not serving.
 * Each certificate of a binary keyring is published for each of its addresses, as it is made minimal at that time. A
 * line for each: fingerprint, address, octets in hexadecimal, or an error. published_fill DIR COUNT DOMAIN: that many
 * certificates for addresses u0@DOMAIN and so on; prints the fingerprint of the first, and the seconds that the commits
 * of GROUP each took. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/pgp_minimise.h"
#include "server/core/error.h"
#include "server/master/impl.h"
#include "store/engine.h"
#include "store/published_impl.h"
#include "store/storekey.h"
#include "store/write.h"
#include "tests/support/keyring_file.h"
#include "tests/support/published_cert.h"

enum { GROUP = 64, MADE = 1700000000, ADDRESSES_MAX = 256 };

static struct engine *engine;
static struct store_write w;
static unsigned in_group;
static double took;

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    fprintf(stderr, "published_fill: %s: %s\n", what, err_str(err));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void commit(void)
{
    if (in_group)
        must(engine_group_commit(w.t), "commit");
    in_group = 0;
}

static int publish(const char *address, const uint8_t *cert, size_t len)
{
    const double from = now();
    if (!in_group)
        must(engine_group_begin(engine, &w.t), "group");
    w.wrote = false;
    int err = published_set(&w, address, slice_of(cert, len), PUBLISH_KEY);
    must(err && w.wrote ? err : OK, address);
    if (++in_group == GROUP)
        commit();
    took += now() - from;
    return err;
}

static void print_hex(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        printf("%02X", data[i]);
}

/* ---- a keyring ---- */

struct addresses {
    char v[ADDRESSES_MAX][ADDRESS_MAX];
    size_t n;
};

static void note_address(struct addresses *a, const uint8_t *user_id, size_t len)
{
    size_t at, plus;
    if (a->n == ADDRESSES_MAX || address_of_user_id((const char *)user_id, len, a->v[a->n], &at, &plus))
        return;
    for (size_t i = 0; i < a->n; i++)
        if (!strcmp(a->v[i], a->v[a->n]))
            return;
    a->n++;
}

/* Those of the user ids that a copy with all of them has. */
static void find_addresses(const uint8_t *cert, size_t len, uint64_t then, struct addresses *a)
{
    static uint8_t whole[PGP_CERT_MAX];
    struct pgp_minimised m;
    struct pgp_packet p;
    size_t n = 0, at = 0;
    a->n = 0;
    if (pgp_minimise(cert, len, then, NULL, NULL, whole, sizeof(whole), &n, &m))
        return;
    while (at < n) {
        must(pgp_packet_next(whole, n, &at, &p), "minimised");
        if (p.tag == PGP_TAG_USER_ID)
            note_address(a, p.body, p.body_len);
    }
}

static void publish_all_of(const uint8_t *cert, size_t len, uint64_t then)
{
    static struct addresses a;
    static uint8_t out[PGP_PUBLISHED_MAX];
    struct pgp_minimised m;
    size_t n;
    find_addresses(cert, len, then, &a);
    for (size_t i = 0; i < a.n; i++) {
        int err = pgp_minimise(cert, len, then, published_names, a.v[i], out, sizeof(out), &n, &m);
        if (!err)
            err = publish(a.v[i], out, n);
        print_hex(m.fpr, m.fpr_len);
        printf("\t%s\t", a.v[i]);
        if (err)
            printf("%s\n", err_str(err));
        else
            print_hex(out, n), putchar('\n');
    }
}

static void fill_from(const char *path, uint64_t then)
{
    size_t len, at = 0;
    uint8_t *data = keyring_read(path, &len);
    while (at < len) {
        struct pgp_packet p;
        size_t end = at, next;
        must(pgp_packet_next(data, len, &end, &p), "keyring");
        for (next = end; pgp_packet_next(data, len, &next, &p) == OK && p.tag != PGP_TAG_PUBLIC_KEY;)
            end = next;
        publish_all_of(data + at, end - at, then);
        at = end;
    }
    free(data);
}

/* ---- as many as are wanted ---- */

static struct forge_key some_key(uint8_t algo)
{
    struct forge_key k = {.version = 4};
    crypto_sign_keypair(k.pk, k.sk);
    if (algo == PGP_X25519)
        randombytes_buf(k.pk, sizeof(k.pk));
    forge_body(&k, 4, algo, MADE, k.pk, sizeof(k.pk));
    return k;
}

static void fill_with(unsigned long count, const char *domain)
{
    static uint8_t cert[PUBLISHED_CERT_MAX];
    for (unsigned long i = 0; i < count; i++) {
        const struct forge_key primary = some_key(PGP_ED25519), subkey = some_key(PGP_X25519);
        char address[ADDRESS_MAX], user_id[ADDRESS_MAX + 32];
        snprintf(address, sizeof(address), "u%lu@%s", i, domain);
        snprintf(user_id, sizeof(user_id), "User %lu <%s>", i, address);
        size_t len = published_cert_of(&primary, &subkey, (const char *const[]){user_id, NULL}, cert, sizeof(cert));
        must(publish(address, cert, len), address);
        if (i == 0)
            print_hex(primary.fpr, primary.fpr_len), putchar('\n');
    }
    commit();
    printf("%.1f\n", took);
}

int main(int argc, char **argv)
{
    static struct record_bundle bundle;
    static struct storekey_roots roots;
    static struct files f;
    struct dir_lock lock = {0};
    char why[300] = "", path[600];

    if (argc != 4)
        return 2;
    if (files_load(argv[1], NULL, &f, why, sizeof(why)) != OK ||
        storekey_unlock(argv[1], f.config.store_key_file, NULL, &roots, why, sizeof(why)) != OK ||
        dir_lock(argv[1], &lock, why, sizeof(why)) != OK) {
        fprintf(stderr, "published_fill: %s\n", why);
        return 1;
    }
    record_bundle_make(roots.store, roots.queue, &bundle);
    snprintf(path, sizeof(path), "%s/store", argv[1]);
    must(engine_lmdb_writer(path, f.config.map_size, f.config.reader_turn_ms, &engine), "store");
    w = (struct store_write){.keys = record_keys_create(&bundle),
                             .account = PART_KEYSERVER,
                             .now = (uint64_t)time(NULL)};
    must(w.keys ? OK : ERR_MEMORY, "keys");
    if (strchr(argv[2], '/'))
        fill_from(argv[2], strtoull(argv[3], NULL, 10));
    else
        fill_with(strtoul(argv[2], NULL, 10), argv[3]);
    commit();
    engine_close(engine);
    record_keys_destroy((struct record_keys *)w.keys);
    return 0;
}
