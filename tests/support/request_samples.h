/* Requests to the vault, one of each type, every field with a value of its own. */
#ifndef TESTS_SUPPORT_REQUEST_SAMPLES_H
#define TESTS_SUPPORT_REQUEST_SAMPLES_H

#include "store/request.h"

enum { REQUEST_SAMPLES_MAX = 61 };
/* Gives how many there are. */
size_t request_samples(struct vault_request out[REQUEST_SAMPLES_MAX]);

#endif
