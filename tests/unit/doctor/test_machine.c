/* What doctor says of the machine: the clock and the disk, as the kernel is made to tell of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/doctor/impl.h"

#define N(v) (sizeof(v) / sizeof((v)[0]))

/* In place of the C library's. */
static struct {
    int state, status, err;
} clock_is;
static struct statvfs disk_is;
static int disk_err;
static char disk_path[64];

int adjtimex(struct timex *t)
{
    assert_int_equal(t->modes, 0); /* it asks, and sets nothing */
    t->status = clock_is.status;
    errno = clock_is.err;
    return clock_is.state;
}

int statvfs(const char *path, struct statvfs *ret)
{
    snprintf(disk_path, sizeof(disk_path), "%s", path);
    *ret = disk_is;
    errno = disk_err;
    return disk_err ? -1 : 0;
}

static struct doctor_finding last;
static char found[DOCTOR_TEXT_MAX], remedy[DOCTOR_TEXT_MAX];
static unsigned nfound;

static void on_finding(void *arg, const struct doctor_finding *f)
{
    last = *f;
    snprintf(found, sizeof(found), "%s", f->found);
    snprintf(remedy, sizeof(remedy), "%s", f->remedy);
    nfound++;
}

static struct config config;
static struct doctor_facts facts = {.dir = "/srv/mail", .config = &config};
static struct doctor doctor = {.f = &facts, .id = "machine", .fn = on_finding};

static void says(enum doctor_state state, const char *text)
{
    assert_int_equal(nfound, 1);
    if (last.state != state || !strstr(found, text))
        fail_msg("%d: %s", last.state, found);
    if (state == DOCTOR_WARN || state == DOCTOR_FAIL)
        assert_true(remedy[0]);
    nfound = 0;
}

static void test_clock(void **state)
{
    static const struct {
        int state, status, err;
        enum doctor_state says;
        const char *text;
    } rows[] = {
        {TIME_OK, STA_PLL, 0, DOCTOR_OK, "is kept right"},
        {TIME_INS, STA_PLL | STA_INS, 0, DOCTOR_OK, "is kept right"}, /* a leap second */
        {TIME_ERROR, STA_PLL, 0, DOCTOR_WARN, "nobody keeps"},
        {TIME_OK, STA_UNSYNC, 0, DOCTOR_WARN, "nobody keeps"},
        {TIME_ERROR, STA_UNSYNC, 0, DOCTOR_WARN, "nobody keeps"},
        {-1, 0, EPERM, DOCTOR_UNKNOWN, "does not say"},
    };

    for (size_t i = 0; i < N(rows); i++) {
        clock_is.state = rows[i].state, clock_is.status = rows[i].status, clock_is.err = rows[i].err;
        doctor_check_clock(&doctor);
        says(rows[i].says, rows[i].text);
    }
}

/* Of a disk of so many MB, with so many free, and disk_reserve in MB. */
static void disk(uint64_t all, uint64_t left, uint64_t reserve)
{
    disk_is = (struct statvfs){.f_frsize = 4096, .f_blocks = all << 8, .f_bavail = left << 8, .f_favail = 1000};
    config.disk_reserve = reserve << 20;
    doctor_check_disk(&doctor);
    assert_string_equal(disk_path, "/srv/mail/store");
}

static void test_disk(void **state)
{
    disk(1000000, 500000, 1024);
    says(DOCTOR_OK, "500000 MB free");
    disk(1000000, 4 * 1024, 1024);
    says(DOCTOR_OK, "4096 MB free");
    disk(1000000, 4 * 1024 - 1, 1024);
    says(DOCTOR_WARN, "4095 MB free");
    disk(1000000, 1024, 1024);
    says(DOCTOR_WARN, "1024 MB free");
    disk(1000000, 1023, 1024);
    says(DOCTOR_FAIL, "less than disk_reserve");
    disk(100, 4, 1024); /* the vault keeps a twentieth of a small one */
    says(DOCTOR_FAIL, "4 MB free, less than disk_reserve");
    disk(100, 50, 1024);
    says(DOCTOR_OK, "50 MB free");
    disk(100, 0, 0);
    says(DOCTOR_OK, "0 MB free"); /* disk_reserve = 0: nobody is to look */
    disk_is.f_favail = 0;
    doctor_check_disk(&doctor);
    says(DOCTOR_WARN, "0 MB free");
    disk_err = ENOENT;
    doctor_check_disk(&doctor);
    says(DOCTOR_FAIL, "/srv/mail/store: No such file");
    disk_err = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clock), cmocka_unit_test(test_disk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
