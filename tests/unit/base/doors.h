/* The doors that tests/unit/base/test_doors.c tries: one row a way out of a sandbox, or a way that a role needs. */
#ifndef TESTS_BASE_DOORS_H
#define TESTS_BASE_DOORS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What stands around the sandboxed process. All of it is open to every uid, so that only the sandbox can refuse. */
struct place {
    char root[64]; /* a directory with mode 0777, with the names below in it */
    char store[160], home[160], file[160], data[160], unix_path[100];
    pid_t victim;        /* a process outside, of the same uid where that is possible */
    unsigned short port; /* a TCP listener on loopback */
    char abstract[32];
    int data_ro;  /* inherited: data, open for reading */
    int tcp;      /* inherited: an unconnected socket */
    int listener; /* inherited: a listening socket */
    int channel;  /* inherited: one end of a socketpair */
};

struct door {
    const char *name;
    bool (*open)(const struct place *p); /* true: the door gave way; errno says why not */
    unsigned open_to;                    /* bit set of profiles that must find it open; all others must find it shut */
};
extern const struct door doors[];
extern const size_t doors_n;

#define D(fn, who) bool fn(const struct place *p);
#include "tests/unit/base/doors_rows.h"
#undef D

#endif
