/* Messages to an account with five keys, packet by packet: good ones, odd ones and hostile ones. */
#ifndef TESTS_SUPPORT_PGP_SHAPES_H
#define TESTS_SUPPORT_PGP_SHAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "crypto/pgp_check.h"

struct msg {
    uint8_t data[40000];
    size_t len;
};

enum who { OURS, RETIRED, STRANGER, WILDCARD, OURS_V6, SECOND, OURS_ECDH };

/* Keys of the account: 0 current v4, 1 retired v4, 2 current v6, 3 current v4, 4 current v4 and the only one that is
 * not X25519. */
enum { KEYS = 5 };

extern struct pgp_key_ref shape_keys[KEYS];
void shape_fpr(enum who who, uint8_t fpr[32]);
void pkesk(struct msg *m, int version, enum who who);
void seipd(struct msg *m, int version, size_t len);
void good_v3(struct msg *m);
void b_two_keys(struct msg *m);
void b_v6(struct msg *m);
void b_v3_for_v6_key(struct msg *m);
void b_partial(struct msg *m);
void b_partial_short_first(struct msg *m);
void b_partial_pkesk(struct msg *m);
void b_old_format(struct msg *m);
void b_indeterminate(struct msg *m);
void b_empty(struct msg *m);
void b_pkesk_only(struct msg *m);
void b_seipd_only(struct msg *m);
void b_stranger(struct msg *m);
void b_stranger_too(struct msg *m);
void b_retired(struct msg *m);
void b_wildcard(struct msg *m);
void b_wildcard_v6(struct msg *m);
void b_wildcard_and_ours(struct msg *m);
void b_mixed(struct msg *m);
void b_v6_with_v1(struct msg *m);
void b_v3_with_v2(struct msg *m);
void b_seipd_v3(struct msg *m);
void b_zero_seipd(struct msg *m);
void b_short_v1(struct msg *m);
void b_short_v2(struct msg *m);
void b_v2_cipher(struct msg *m);
void b_v2_chunk(struct msg *m);
void b_trailing_byte(struct msg *m);
void b_trailing_newline(struct msg *m);
void b_literal_behind(struct msg *m);
void b_two_seipd(struct msg *m);
void b_literal_first(struct msg *m);
void b_compressed(struct msg *m);
void b_marker(struct msg *m);
void b_padding(struct msg *m);
void b_skesk(struct msg *m);
void b_sed(struct msg *m);
void b_gnupg_aead(struct msg *m);
void b_private_tag(struct msg *m);
void b_text(struct msg *m);
void b_hidden_in_pkesk(struct msg *m);
void b_ecdh(struct msg *m);
void b_ecdh_p521(struct msg *m);
void b_ecdh_long(struct msg *m);
void b_ecdh_text(struct msg *m);
void b_ecdh_no_point(struct msg *m);

/* Our key id, but that key is of another algorithm: by chance or on purpose, nobody opens it. */
void b_other_algo(struct msg *m);

void b_wildcard_ecdh(struct msg *m);
void b_other_algo_and_ours(struct msg *m);
void b_wildcard_rsa(struct msg *m);
void b_wildcard_stranger(struct msg *m);
void b_wildcard_retired(struct msg *m);
void b_wildcard_literal(struct msg *m);
void b_wildcard_skesk(struct msg *m);
void b_skesk_only(struct msg *m);
void b_padding_first(struct msg *m);
void b_padding_behind(struct msg *m);
void b_marker_behind(struct msg *m);
void b_message_behind(struct msg *m);
void b_one_pass(struct msg *m);
void b_literal_for_us(struct msg *m);
void b_compressed_for_us(struct msg *m);
void b_unknown_among_good(struct msg *m);
void b_v4_pkesk_among_good(struct msg *m);
void b_old_seipd_indeterminate(struct msg *m);
void b_twice(struct msg *m);
void b_unknown_algo(struct msg *m);
void b_rsa_bad_mpi(struct msg *m);
void b_pkesk_v5(struct msg *m);
void b_v6_odd_fpr(struct msg *m);
void b_huge_pkesk(struct msg *m);
void b_65_pkesks(struct msg *m);
void b_64_pkesks(struct msg *m);
void b_tag_zero(struct msg *m);

#endif
