/* Block lists (RFC 5782) without I/O: the names by which they are asked, and what their answers say. */
#ifndef MAILAUTH_BLOCK_LIST_H
#define MAILAUTH_BLOCK_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/mailauth/records.h"

/* "1.2.0.192" of 192.0.2.1, before "in-addr.arpa" or a list's name; of IPv6 (16 octets) its 32 digits. */
enum { BLOCK_LIST_REVERSED_CAP = 64 };
void block_list_reversed(const uint8_t *octets, bool six, char out[BLOCK_LIST_REVERSED_CAP]);

/* An address on a list is asked for by three names. Section 5: a list has 127.0.0.2, or it does not work, or does not
 * answer this asker; and it never has 127.0.0.1, but when it has ended and says yes to all. */
enum block_list_question { BLOCK_LIST_HAS, BLOCK_LIST_TEST, BLOCK_LIST_NEVER, BLOCK_LIST_QUESTIONS };
/* ERR_LIMIT: the name is longer than cap. */
int block_list_name(enum block_list_question q, const uint8_t *octets, bool six, const char *list, char *out,
                    size_t cap);

/* What one of these names has. An answer outside of 127.0.0.0/8, 127.0.0.1 or 127.255.255.x means that the list
 * refuses, or that somebody else answers for it. */
enum block_list_entry { BLOCK_LIST_NONE, BLOCK_LIST_LISTED, BLOCK_LIST_REFUSES };
/* One A record more of a name that has `e` by those before. */
enum block_list_entry block_list_add(enum block_list_entry e, const uint8_t octets[4]);

enum block_list_says { BLOCK_LIST_NO, BLOCK_LIST_YES, BLOCK_LIST_NOTHING };
enum block_list_says block_list_says(const uint8_t *octets, bool six,
                                     const enum block_list_entry e[BLOCK_LIST_QUESTIONS]);

/* All three, asked by way of r. ERR_AGAIN: answers are missing; ERR_UNKNOWN: nobody can tell now. */
int block_list_check(const uint8_t *octets, bool six, const char *list, struct records *r, enum block_list_says *ret);

#endif
