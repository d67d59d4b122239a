/* Master's place in a bench of one process: it counts failed logins as master does, and answers from the loop. */
#ifndef TESTS_SUPPORT_MASTER_STAND_IN_H
#define TESTS_SUPPORT_MASTER_STAND_IN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "server/login/login.h"
#include "server/master/throttle.h"

struct master_state {
    struct loop *loop;
    struct login *login;
    struct throttle *throttle;
    struct throttle_key key;
    uint64_t id, wait_ms;
    struct defer answer;
    bool silent, in_hand; /* silent: asks are not answered */
    unsigned asked, failed, forgiven;
};
extern struct master_state master;

struct login *master_up(struct loop *l, struct view *v);
void master_down(void);

#endif
