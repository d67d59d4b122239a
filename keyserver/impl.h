/* Between the files of the keyserver. */
#ifndef KEYSERVER_IMPL_H
#define KEYSERVER_IMPL_H

#include "keyserver/keyserver.h"
#include "server/keys/coming.h"
#include "server/keys/upload.h"

/* The longest is an index, in which each octet of a user id takes three; a user id's line and the key's take no more
 * besides than their packets' other octets do, three times, and this. */
enum { KEYSERVER_ANSWER_MAX = 3 * PGP_PUBLISHED_MAX + 128 };

enum { KEYSERVER_TOKEN_MAX = 2 * COMING_MAX + 1 };

/* What is being answered: there is one thread, and each answer is given at once. */
struct keyserver {
    struct view *view;
    const struct keyserver_uploads *uploads;
    struct coming coming;
    struct published room;
    uint8_t cert[PGP_PUBLISHED_MAX], joined[PGP_PUBLISHED_MAX];
    size_t len; /* of cert, found last */
    char text[KEYSERVER_ANSWER_MAX];
};

/* Each leaves what it finds in k->cert. ERR_NOT_FOUND, or what a view answers. */
int keyserver_find_address(struct keyserver *k, const char *address, size_t len);
int keyserver_find_wkd(struct keyserver *k, const char *domain, const char *hash, size_t len);
/* A fingerprint or key id in hexadecimal, with "0x" or without: one certificate with all its published user ids. Whose
 * primary key it is comes before whose subkey it is. */
int keyserver_find_key(struct keyserver *k, struct slice hex);

/* What cannot be read as a name is nobody's; that it could not be looked at is another matter, and stays. */
int keyserver_unread(int err);

bool keyserver_is_hosted(struct keyserver *k, const char *domain); /* whose domain it is, is no secret */
/* Whether a hash in WKD is that of a submission address that takes certificates in; it is answered then. */
bool keyserver_submission_key(struct keyserver *k, struct http_exchange *x, const char *domain, struct slice hash);

/* The certificate as it is, or armoured; anything but OK is told as "not found", or as a failure of ours. */
void keyserver_answer(struct keyserver *k, struct http_exchange *x, int err);
void keyserver_answer_armored(struct keyserver *k, struct http_exchange *x, int err);
void keyserver_answer_not_found(struct http_exchange *x, int err);

http_handler keyserver_wkd, keyserver_wkd_direct;            /* wkd.c */
http_handler keyserver_wkd_policy, keyserver_wkd_submission; /* submission.c */
http_handler keyserver_hkp_lookup;                           /* hkp.c */
http_handler keyserver_vks_fingerprint, keyserver_vks_keyid, keyserver_vks_email;
http_handler keyserver_vks_upload, keyserver_vks_request_verify, keyserver_hkp_add; /* upload.c */
http_handler keyserver_verify_page, keyserver_verify;                               /* verify.c */

#endif
