/* What clients are served, made from a message's outer header and packets: standard PGP/MIME (RFC 3156 section 4), and
 * for mail that arrived as one inline armour block that form again, since it decrypts to text and not to a MIME entity
 * (served as PGP/MIME, its first lines are taken for a header and vanish). A render version fixes every byte, so the
 * size is known without rendering and any range can be made by itself. A CRC24 stands only where the base64 ends
 * without "=" (old GnuPG needs one of the two); a range that touches it reads all packets. */
#ifndef FORMAT_RENDER_H
#define FORMAT_RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RENDER_VERSION = 1 /* PGP/MIME */, RENDER_INLINE = 2 /* the first of the inline ones, one a charset */ };
bool render_known(uint8_t version);
/* The version that serves inline armour of text in that charset (in lower case; "": none said). ERR_UNSUPPORTED. */
int render_inline_version(const char *charset, uint8_t *ret);

/* How far the checksum of a message's packets has come: a reader that cannot have them all at once goes on there. What
 * is read for it alone ends after RENDER_CRC_MAX octets: ERR_AGAIN, so that no client is waited for while another's
 * message is read from end to end. */
enum { RENDER_CRC_MAX = 1 << 20 };
struct render_crc {
    uint64_t at;
    uint32_t crc;
};

struct render_source {
    uint8_t version;
    uint64_t message;     /* its id, which alone makes the boundary */
    const uint8_t *outer; /* CRLF lines without the empty line */
    size_t outer_len;
    uint64_t packets_len;
    /* Reads packets[offset .. offset+len). OK or an error, which render gives back; of ERR_AGAIN see render_range. */
    int (*read)(void *arg, uint64_t offset, uint8_t *out, size_t len);
    void *arg;
    struct render_crc *crc; /* zeroed for a message's first range; NULL: none is kept */
};

/* Octet offsets in the rendered message. */
struct render_layout {
    uint64_t size;
    uint64_t header_len; /* with the empty line: BODY[HEADER] */
    bool single;         /* inline: part 1 is the body itself, and there is no part 2 */
    uint64_t part1_mime, part1_body,
        part1_end; /* application/pgp-encrypted: its MIME header, body, end (CRLF before the boundary not included) */
    uint64_t part2_mime, part2_body, part2_end; /* application/octet-stream */
    uint32_t part1_lines, part2_lines;          /* of BODYSTRUCTURE's text parts */
};
void render_layout(uint8_t version, uint64_t message, size_t outer_len, uint64_t packets_len,
                   struct render_layout *ret);
uint64_t render_size(uint8_t version, size_t outer_len, uint64_t packets_len);
/* Writes octets [offset, offset+len) to out; len is cut at the end; *ret_len says how many. Where reading is ERR_AGAIN,
 * or the checksum, it gives what comes before, if anything does. */
int render_range(const struct render_source *s, uint64_t offset, size_t len, uint8_t *out, size_t *ret_len);
/* The boundary, NUL-ended. */
void render_boundary(uint8_t version, uint64_t message, char out[64]);

#endif
