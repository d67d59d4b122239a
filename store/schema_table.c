#include "store/schema_table.h"

#include <stddef.h>

#include "store/schema.h"

#define SEALED(use, step) FORM_SEALED, RECORD_##use, step
#define CLEAR(form) FORM_##form, 0, 0

static const struct schema_kind kinds[] = {
    {'V', HOME_INSTANCE, CLEAR(CLEAR), "version"},
    {'C', HOME_INSTANCE, SEALED(DIRECTORY, 64), "check of the store key, and of the version"},
    {'I', HOME_INSTANCE, CLEAR(TAGGED), "next account"},
    {'S', HOME_INSTANCE, CLEAR(ENGINE), "number of the commit"},
    {'R', HOME_INSTANCE, CLEAR(TAGGED), "restore under way"},
    {'Z', HOME_INSTANCE, CLEAR(EMPTY), "account that is made or erased"},
    {'a', HOME_INSTANCE, SEALED(DIRECTORY, 64), "address"},
    {'d', HOME_INSTANCE, SEALED(DIRECTORY, 64), "domain"},
    {'N', HOME_INSTANCE, SEALED(DIRECTORY, 64), "list of accounts"},
    {'L', HOME_INSTANCE, SEALED(DIRECTORY, 64), "what a domain's accounts have sent"},
    {'J', HOME_INSTANCE, SEALED(SIGNIN, 512), "invitation"},
    {'D', HOME_INSTANCE, SEALED(REPORT, 512), "what others report of a domain's day"},

    {'A', HOME_ACCOUNT, SEALED(DIRECTORY, 256), "account"},
    {'q', HOME_ACCOUNT, SEALED(DIRECTORY, 64), "usage"},
    {'K', HOME_ACCOUNT, SEALED(DIRECTORY, 256), "certificate's record"},
    {'G', HOME_ACCOUNT, SEALED(DIRECTORY, 64), "approval of the certificates"},
    {'L', HOME_ACCOUNT, SEALED(DIRECTORY, 64), "what it has sent"},
    {'l', HOME_ACCOUNT, SEALED(DIRECTORY, 256), "recipients that it has written to"},
    {'f', HOME_ACCOUNT, SEALED(DIRECTORY, 256), "who has written to it"},
    {'y', HOME_ACCOUNT, SEALED(DIRECTORY, 1024), "complaints about its mail"},
    {'r', HOME_ACCOUNT, SEALED(DIRECTORY, 4096), "key of a correspondent"},
    {'i', HOME_ACCOUNT, SEALED(DIRECTORY, 4096), "key that came with a correspondent's mail"},
    {'U', HOME_ACCOUNT, SEALED(DIRECTORY, 64), "how many of these there are"},
    {'P', HOME_ACCOUNT, SEALED(LOGIN, 64), "app password"},
    {'O', HOME_ACCOUNT, SEALED(SIGNIN, 512), "how it is signed in to"},
    {'W', HOME_ACCOUNT, SEALED(SIGNIN, 8128), "wrapped private key"},
    {'o', HOME_ACCOUNT, SEALED(SIGNIN, 256), "session"},
    {'E', HOME_ACCOUNT, SEALED(SIGNIN, 1024), "second factor"},
    {'B', HOME_ACCOUNT, SEALED(MAILBOX, 64), "mailbox's name"},
    {'b', HOME_ACCOUNT, SEALED(MAILBOX, 64), "mailbox's numbers"},
    {'F', HOME_ACCOUNT, SEALED(MAILBOX, 80), "keyword"},
    {'s', HOME_ACCOUNT, SEALED(MAILBOX, 64), "subscription"},
    {'k', HOME_ACCOUNT, CLEAR(TAGGED), "block of UIDs"},
    {'u', HOME_ACCOUNT, CLEAR(TAGGED), "entry"},
    {'w', HOME_ACCOUNT, CLEAR(EMPTY), "index of changes"},
    {'x', HOME_ACCOUNT, SEALED(MAILBOX, 64), "tombstones"},
    {'m', HOME_ACCOUNT, SEALED(MESSAGE, 64), "message"},
    {'n', HOME_ACCOUNT, SEALED(MESSAGE, 1024), "fence behind the messages"},
    {'D', HOME_ACCOUNT, SEALED(MESSAGE, 16), "delivery id"},
    {'e', HOME_ACCOUNT, CLEAR(EMPTY), "index of delivery ids by day"},
    {'X', HOME_ACCOUNT, CLEAR(EMPTY), "index of messages that expire"},
    {'Y', HOME_ACCOUNT, CLEAR(TAGGED), "copy under way"},
    {'Z', HOME_ACCOUNT, CLEAR(TAGGED), "mailbox that is erased or emptied"},

    {'J', HOME_ACCOUNT, CLEAR(RESERVED), "account-wide modification sequence"},
    {'j', HOME_ACCOUNT, CLEAR(RESERVED), "account-wide changes and tombstones, by that sequence"},
    {'t', HOME_ACCOUNT, CLEAR(RESERVED), "thread's messages, by hash of thread and number"},
    {'H', HOME_ACCOUNT, CLEAR(RESERVED), "changes of keys, only ever added to"},
    {'g', HOME_ACCOUNT, CLEAR(RESERVED), "script"},
    {'c', HOME_ACCOUNT, CLEAR(RESERVED), "data that the client sealed"},

    {'Q', HOME_QUEUE, SEALED(QUEUE, 512), "envelope of what goes out"},
    {'T', HOME_QUEUE, SEALED(QUEUE, 256), "recipient of what goes out"},
    {'M', HOME_QUEUE, SEALED(QUEUE_CONTENT, 64), "message that goes out"},
    {'D', HOME_QUEUE, SEALED(DKIM, 64), "key that signs what goes out"},
    {'S', HOME_QUEUE, SEALED(QUEUE, 512), "address that bounced for good"},
    {'p', HOME_QUEUE, SEALED(QUEUE, 512), "MTA-STS policy of a domain elsewhere"},
    {'t', HOME_QUEUE, SEALED(QUEUE, 512), "how TLS went with a domain elsewhere"},
    {'H', HOME_QUEUE, SEALED(QUEUE_CONTENT, 64), "account that is held"},

    {'p', HOME_KEYSERVER, SEALED(PUBLISHED, 256), "address whose certificate is published"},
    {'c', HOME_KEYSERVER, SEALED(PUBLISHED, 256), "octets of a published certificate"},
    {'w', HOME_KEYSERVER, CLEAR(EMPTY), "index of published certificates by WKD's hash"},
    {'f', HOME_KEYSERVER, CLEAR(EMPTY), "index of published certificates by key"},
    {'l', HOME_KEYSERVER, SEALED(DIRECTORY, 256), "change of a published certificate"},
    {'h', HOME_KEYSERVER, SEALED(DIRECTORY, 64), "end of the log of those changes"},
    {'u', HOME_KEYSERVER, SEALED(DIRECTORY, 512), "certificate that waits to be verified"},
    {'v', HOME_KEYSERVER, SEALED(DIRECTORY, 256), "octets of a certificate that waits"},
    {'x', HOME_KEYSERVER, CLEAR(EMPTY), "index of certificates that wait, by the time when they go"},
    {'n', HOME_KEYSERVER, SEALED(DIRECTORY, 64), "how many certificates wait"},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static uint8_t home_of(uint64_t part)
{
    return part == PART_INSTANCE        ? HOME_INSTANCE
           : part >= PART_ACCOUNT_FIRST ? HOME_ACCOUNT
           : part == PART_KEYSERVER     ? HOME_KEYSERVER
                                        : HOME_QUEUE;
}

/* By home and letter, since every value that is read is looked up. */
enum { HOMES = HOME_INSTANCE | HOME_ACCOUNT | HOME_QUEUE | HOME_KEYSERVER, LETTERS = 128 };
static const struct schema_kind *by_letter[HOMES + 1][LETTERS];

__attribute__((constructor)) static void index_kinds(void)
{
    for (unsigned i = 0; i < KINDS; i++)
        by_letter[kinds[i].home][(uint8_t)kinds[i].letter] = &kinds[i];
}

const struct schema_kind *schema_kind_find(uint64_t part, char letter)
{
    return (uint8_t)letter < LETTERS ? by_letter[home_of(part)][(uint8_t)letter] : NULL;
}

const struct schema_kind *schema_kinds(unsigned *ret_n)
{
    *ret_n = KINDS;
    return kinds;
}
