/* The store key's slots: every kind, every way a file can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/storekey.h"

static char dir[64], file[100];
static const char secret[] = "0123456789abcdef0123456789abcdef";
static const char other[] = "fedcba9876543210fedcba9876543210";

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/letterlock-storekey.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(file, sizeof(file), "%s/store.key", dir);
    return 0;
}

static int teardown(void **state)
{
    char command[100];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static size_t slurp(uint8_t *out, size_t cap)
{
    int fd = open(file, O_RDONLY);
    ssize_t n = read(fd, out, cap);
    close(fd);
    assert_true(n > 0);
    return (size_t)n;
}

static void spill(const uint8_t *data, size_t len)
{
    int fd = open(file, O_WRONLY | O_TRUNC | O_CREAT, 0600);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
}

static void unlink_both(void)
{
    char path[100];
    snprintf(path, sizeof(path), "%s/queue.key", dir);
    unlink(path);
    unlink(file);
}

static void make_add_open_remove(void **state)
{
    struct storekey_roots key, again;
    struct storekey_info info[4];
    struct stat st;
    size_t n;

    (void)state;
    assert_int_equal(storekey_open(dir, SLOT_KEY_FILE, secret, 32, &key), ERR_NOT_FOUND);
    assert_int_equal(storekey_create(dir, SLOT_KEY_FILE, secret, 31, &key), ERR_LIMIT);
    assert_int_equal(storekey_create(dir, SLOT_KEY_FILE, secret, 32, &key), OK);
    assert_int_equal(storekey_create(dir, SLOT_KEY_FILE, secret, 32, &again), ERR_EXISTS);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(storekey_open(dir, SLOT_KEY_FILE, secret, 32, &again), OK);
    assert_memory_equal(&key, &again, sizeof(key));
    memset(&again, 7, sizeof(again));
    assert_int_equal(storekey_open(dir, SLOT_KEY_FILE, other, 32, &again), ERR_DENIED);
    assert_int_equal(storekey_open(dir, SLOT_CREDENTIAL, secret, 32, &again), ERR_DENIED);
    assert_int_equal(storekey_open(dir, SLOT_KEY_FILE, secret, 33, &again), ERR_DENIED);
    assert_int_equal(again.store[0], 7);
    assert_int_equal(again.queue[31], 7);

    assert_int_equal(storekey_remove(dir, 1), ERR_CONFLICT);
    assert_int_equal(storekey_add(dir, &key, SLOT_PASSPHRASE, "words", 5), OK);
    assert_int_equal(storekey_add(dir, &key, SLOT_PASSPHRASE, "", 0), ERR_LIMIT);
    assert_int_equal(storekey_add(dir, &key, SLOT_CREDENTIAL, other, 32), OK);
    assert_int_equal(storekey_open(dir, SLOT_PASSPHRASE, "words", 5, &again), OK);
    assert_memory_equal(&key, &again, sizeof(key));
    assert_int_equal(storekey_open(dir, SLOT_PASSPHRASE, "Words", 5, &again), ERR_DENIED);
    assert_int_equal(storekey_list(dir, info, 2, &n), ERR_LIMIT);
    assert_int_equal(storekey_list(dir, info, 4, &n), OK);
    assert_int_equal(n, 3);
    assert_int_equal(info[1].number, 2);
    assert_int_equal(info[1].slot, SLOT_PASSPHRASE);
    assert_int_equal(storekey_remove(dir, 9), ERR_NOT_FOUND);
    assert_int_equal(storekey_remove(dir, 1), OK);
    assert_int_equal(storekey_open(dir, SLOT_KEY_FILE, secret, 32, &again), ERR_DENIED);
    assert_int_equal(storekey_open(dir, SLOT_CREDENTIAL, other, 32, &again), OK);
    /* a number is not given twice while a later one is there */
    assert_int_equal(storekey_add(dir, &key, SLOT_KEY_FILE, secret, 32), OK);
    assert_int_equal(storekey_list(dir, info, 4, &n), OK);
    assert_int_equal(info[2].number, 4);
}

static void removed_bytes_are_gone(void **state)
{
    struct storekey_roots key;
    uint8_t before[2000], after[2000];
    int held;
    size_t n;

    (void)state;
    unlink_both();
    assert_int_equal(storekey_create(dir, SLOT_KEY_FILE, secret, 32, &key), OK);
    assert_int_equal(storekey_add(dir, &key, SLOT_CREDENTIAL, other, 32), OK);
    n = slurp(before, sizeof(before));
    held = open(file, O_RDONLY);
    assert_int_equal(storekey_remove(dir, 1), OK);
    assert_int_equal(read(held, after, sizeof(after)), n);
    close(held);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(after[i], 0);
}

static void full(void **state)
{
    struct storekey_roots key;

    (void)state;
    unlink_both();
    assert_int_equal(storekey_create(dir, SLOT_KEY_FILE, secret, 32, &key), OK);
    for (int i = 1; i < 16; i++)
        assert_int_equal(storekey_add(dir, &key, SLOT_KEY_FILE, other, 32), OK);
    assert_int_equal(storekey_add(dir, &key, SLOT_KEY_FILE, other, 32), ERR_FULL);
}

static void damaged(void **state)
{
    struct storekey_roots key, again;
    uint8_t good[2000], bad[2000];
    size_t n;

    (void)state;
    unlink_both();
    assert_int_equal(storekey_create(dir, SLOT_KEY_FILE, secret, 32, &key), OK);
    n = slurp(good, sizeof(good));
    for (size_t i = 0; i < n; i++) { /* cut at every byte, and every byte changed */
        int err;

        spill(good, i);
        assert_int_equal(storekey_open(dir, SLOT_KEY_FILE, secret, 32, &again), ERR_FORMAT);
        memcpy(bad, good, n);
        bad[i] ^= 0x40;
        spill(bad, n);
        err = storekey_open(dir, SLOT_KEY_FILE, secret, 32, &again);
        assert_int_equal(err, i == 4 ? ERR_VERSION : err == ERR_FORMAT ? ERR_FORMAT : ERR_DENIED);
    }
    memcpy(bad, good, n);
    bad[n] = 0;
    spill(bad, n + 1);
    assert_int_equal(storekey_open(dir, SLOT_KEY_FILE, secret, 32, &again), ERR_FORMAT);
    spill(good, n);
    assert_int_equal(storekey_open(dir, SLOT_KEY_FILE, secret, 32, &again), OK);
    /* a cost that would exhaust the machine */
    memcpy(bad, good, n);
    bad[10] = SLOT_PASSPHRASE;
    memset(bad + 27, 0xff, 8);
    spill(bad, n);
    assert_int_equal(storekey_open(dir, SLOT_PASSPHRASE, "x", 1, &again), ERR_FORMAT);
}

static void interrupted_write(void **state)
{
    struct storekey_roots key;
    char path[120];
    int fd;

    (void)state;
    unlink_both();
    snprintf(path, sizeof(path), "%s/store.key.new", dir);
    fd = open(path, O_CREAT | O_WRONLY, 0666);
    assert_int_equal(write(fd, "half", 4), 4);
    close(fd);
    assert_int_equal(storekey_create(dir, SLOT_KEY_FILE, secret, 32, &key), OK);
    assert_int_equal(storekey_open(dir, SLOT_KEY_FILE, secret, 32, &key), OK);
    assert_int_not_equal(access(path, F_OK), 0);
}

static int say_words(char *out, size_t cap)
{
    snprintf(out, cap, "words");
    return OK;
}
static int say_wrong(char *out, size_t cap)
{
    snprintf(out, cap, "swords");
    return OK;
}
static int say_nothing(char *out, size_t cap)
{
    (void)out, (void)cap;
    return ERR_UNSUPPORTED;
}

static void unlock_order(void **state)
{
    struct storekey_roots key, again;
    char path[200], why[300] = "";
    int fd;

    (void)state;
    unlink_both();
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(storekey_unlock(dir, "", NULL, &again, why, sizeof(why)), ERR_NOT_FOUND);
    assert_int_equal(storekey_create(dir, SLOT_PASSPHRASE, "words", 5, &key), OK);
    assert_int_equal(storekey_unlock(dir, "", NULL, &again, why, sizeof(why)), ERR_DENIED);
    assert_int_equal(storekey_unlock(dir, "", say_wrong, &again, why, sizeof(why)), ERR_DENIED);
    assert_non_null(strstr(why, "wrong"));
    assert_int_equal(storekey_unlock(dir, "", say_nothing, &again, why, sizeof(why)), ERR_UNSUPPORTED);
    assert_non_null(strstr(why, "LETTERLOCK_PASSPHRASE_FILE"));
    assert_int_equal(storekey_unlock(dir, "", say_words, &again, why, sizeof(why)), OK);
    assert_memory_equal(&key, &again, sizeof(key));

    assert_int_equal(storekey_add(dir, &key, SLOT_KEY_FILE, secret, 32), OK);
    snprintf(path, sizeof(path), "%s/key-file", dir);
    fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    assert_int_equal(write(fd, secret, 32), 32);
    memset(&again, 0, sizeof(again));
    assert_int_equal(storekey_unlock(dir, path, say_nothing, &again, why, sizeof(why)), OK);
    assert_memory_equal(&key, &again, sizeof(key));
    assert_int_equal(storekey_unlock(dir, "key-file", NULL, &again, why, sizeof(why)), OK);
    fchmod(fd, 0644);
    assert_int_equal(storekey_unlock(dir, path, NULL, &again, why, sizeof(why)), ERR_DENIED);
    assert_non_null(strstr(why, "others may read"));
    /* what cannot be opened by file is asked for */
    assert_int_equal(storekey_unlock(dir, path, say_words, &again, why, sizeof(why)), OK);
    close(fd);
    assert_int_equal(storekey_unlock(dir, "/nowhere", NULL, &again, why, sizeof(why)), ERR_NOT_FOUND);

    assert_int_equal(storekey_add(dir, &key, SLOT_CREDENTIAL, other, 32), OK);
    snprintf(path, sizeof(path), "%s/letterlock-store-key", dir);
    fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0400);
    assert_int_equal(write(fd, other, 32), 32);
    close(fd);
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    memset(&again, 0, sizeof(again));
    assert_int_equal(storekey_unlock(dir, "/nowhere", say_nothing, &again, why, sizeof(why)), OK);
    assert_memory_equal(&key, &again, sizeof(key));
    unsetenv("CREDENTIALS_DIRECTORY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(make_add_open_remove),
        cmocka_unit_test(removed_bytes_are_gone),
        cmocka_unit_test(full),
        cmocka_unit_test(damaged),
        cmocka_unit_test(interrupted_write),
        cmocka_unit_test(unlock_order),
    };
    return cmocka_run_group_tests_name("storekey", tests, setup, teardown);
}
