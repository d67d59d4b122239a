/* Parcels: what is made is what is read, and whatever could change or lie is refused. */
#include "tests/support/vault_support.h"

#include <fcntl.h>
#include <sys/mman.h>

static void test_roundtrip(void **state)
{
    static uint8_t big[200000];
    struct parcel_writer *w;
    struct parcel p;
    int fd;
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (uint8_t)(i * 7);
    assert_int_equal(parcel_create(&w), OK);
    assert_int_equal(parcel_put_outer(w, "A: b\r\n", 6), OK);
    for (size_t at = 0; at < 70000; at += 7) /* across the buffer in odd steps */
        assert_int_equal(parcel_put_capsule(w, big + at, 7), OK);
    assert_int_equal(parcel_put_packets(w, big, 1), OK);
    assert_int_equal(parcel_put_packets(w, big + 1, sizeof(big) - 1), OK);
    assert_int_equal(parcel_seal(w, &fd), OK);
    assert_int_equal(parcel_open(fd, 1 << 20, &p), OK);
    assert_int_equal(p.outer.len, 6);
    assert_memory_equal(p.outer.data, "A: b\r\n", 6);
    assert_int_equal(p.capsule.len, 70000);
    assert_memory_equal(p.capsule.data, big, 70000);
    assert_int_equal(p.packets.len, sizeof(big));
    assert_memory_equal(p.packets.data, big, sizeof(big));
    size_t total = p.map_len;
    parcel_close(&p);
    assert_int_equal(parcel_open(fd, total, &p), OK);
    parcel_close(&p);
    assert_int_equal(parcel_open(fd, total - 1, &p), ERR_LIMIT);
    /* sealed against every change */
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 1 << 20), -1);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    close(fd);
}

static void test_writer_order_and_limits(void **state)
{
    struct parcel_writer *w;
    int fd = -7;
    static uint8_t much[PARCEL_CAPSULE_MAX + 1];
    assert_int_equal(parcel_create(&w), OK);
    assert_int_equal(parcel_put_packets(w, much, 1), OK);
    assert_int_equal(parcel_put_outer(w, "x", 1), ERR_CONFLICT);
    assert_int_equal(parcel_put_packets(w, much, 1), ERR_CONFLICT); /* a broken writer stays broken */
    assert_int_equal(parcel_seal(w, &fd), ERR_CONFLICT);
    assert_int_equal(parcel_create(&w), OK);
    assert_int_equal(parcel_put_outer(w, much, PARCEL_OUTER_MAX + 1), OK);
    assert_int_equal(parcel_seal(w, &fd), ERR_LIMIT);
    assert_int_equal(parcel_create(&w), OK);
    assert_int_equal(parcel_put_capsule(w, much, sizeof(much)), OK);
    assert_int_equal(parcel_seal(w, &fd), ERR_LIMIT);
    assert_int_equal(fd, -7);
    assert_int_equal(parcel_create(&w), OK);
    parcel_destroy(w);
    parcel_destroy(NULL);
}

static int memfd_of(const void *data, size_t len, int seals)
{
    int fd = memfd_create("t", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    assert_int_equal(write(fd, data, len), len);
    if (seals)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void refused(int fd, int want)
{
    struct parcel p;
    assert_int_equal(parcel_open(fd, 1 << 20, &p), want);
    close(fd);
}

static void test_hostile(void **state)
{
    enum { ALL = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };
    uint8_t good[PARCEL_HEAD + 6];
    struct pack p;
    pack_init(&p, good, sizeof(good));
    pack_raw(&p, "LLP1", 4);
    pack_u32(&p, 1);
    pack_u32(&p, 2);
    pack_u64(&p, 3);
    pack_raw(&p, "abcdef", 6);
    struct parcel ok;
    int fd = memfd_of(good, sizeof(good), ALL);
    assert_int_equal(parcel_open(fd, 1 << 20, &ok), OK);
    parcel_close(&ok);
    close(fd);
    /* each seal alone matters */
    static const int seals[] = {F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE};
    for (int i = 0; i < 4; i++)
        refused(memfd_of(good, sizeof(good), ALL & ~seals[i]), ERR_REFUSED);
    refused(memfd_of(good, sizeof(good),
                     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | 0x10 /* FUTURE_WRITE is not WRITE */),
            ERR_REFUSED);
    /* every truncation, and one byte too many */
    for (size_t n = 1; n < sizeof(good); n++)
        refused(memfd_of(good, n, ALL), ERR_REFUSED);
    refused(memfd_of("", 0, ALL), ERR_REFUSED);
    uint8_t more[sizeof(good) + 1] = {0};
    memcpy(more, good, sizeof(good));
    refused(memfd_of(more, sizeof(more), ALL), ERR_REFUSED);
    /* lengths that lie, also by overflow */
    static const uint64_t lies[] = {0, 2, 4, UINT64_MAX, UINT64_MAX - 25, (uint64_t)1 << 63, (uint64_t)1 << 32 | 3};
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint8_t bad[sizeof(good)];
        memcpy(bad, good, sizeof(good));
        pack_init(&p, bad + 12, 8);
        pack_u64(&p, lies[i]);
        refused(memfd_of(bad, sizeof(bad), ALL), ERR_REFUSED);
    }
    for (int at = 0; at < 4; at++) {
        uint8_t bad[sizeof(good)];
        memcpy(bad, good, sizeof(good));
        bad[at] ^= 1;
        refused(memfd_of(bad, sizeof(bad), ALL), ERR_REFUSED);
    }
    /* no memfd at all */
    refused(open("/dev/zero", O_RDONLY), ERR_REFUSED);
    refused(open("/proc/self/exe", O_RDONLY), ERR_REFUSED);
    int pipe_fd[2];
    assert_int_equal(pipe(pipe_fd), 0);
    close(pipe_fd[1]);
    refused(pipe_fd[0], ERR_REFUSED);
    refused(-1, ERR_REFUSED);
}

/* Where the writer's buffer just holds head and all, and where the vault reads or maps. */
static void test_sizes_around_the_buffers(void **state)
{
    static const size_t edges[] = {64 * 1024, 2 * 64 * 1024, 256 * 1024};
    uint8_t *bytes = malloc(300000);
    for (size_t i = 0; i < 300000; i++)
        bytes[i] = (uint8_t)(i * 13 + (i >> 8));
    for (size_t e = 0; e < sizeof(edges) / sizeof(edges[0]); e++)
        for (size_t total = edges[e] - 2; total <= edges[e] + 2; total++)
            for (size_t step = 1000; step <= 400000; step *= 20) {
                size_t len = total - PARCEL_HEAD - 6;
                struct parcel_writer *w;
                struct parcel p;
                int fd;
                assert_int_equal(parcel_create(&w), OK);
                assert_int_equal(parcel_put_outer(w, "A: b\r\n", 6), OK);
                for (size_t at = 0; at < len; at += step)
                    assert_int_equal(parcel_put_packets(w, bytes + at, len - at < step ? len - at : step), OK);
                assert_int_equal(parcel_seal(w, &fd), OK);
                assert_int_equal(parcel_open(fd, total, &p), OK);
                assert_int_equal(p.map_len, total);
                assert_int_equal(p.outer.len, 6);
                assert_int_equal(p.capsule.len, 0);
                assert_int_equal(p.packets.len, len);
                assert_memory_equal(p.packets.data, bytes, len);
                parcel_close(&p);
                close(fd);
            }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roundtrip),
        cmocka_unit_test(test_writer_order_and_limits),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_sizes_around_the_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
