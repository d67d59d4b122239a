/* Message-ID, In-Reply-To, References (RFC 5322 section 3.6.4). An id is "<", the id, ">". */
#ifndef MAIL_MESSAGE_ID_H
#define MAIL_MESSAGE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MESSAGE_ID_MAX = 900 };

bool message_id_valid(const uint8_t *s, size_t len);
/* One or more with a blank or fold between; the places of folds were checked by header_value_valid. */
bool message_id_list_valid(const uint8_t *s, size_t len);
/* Each id of what real mail has, as it stands, whatever stands between. fn returns 0 to go on. */
void message_id_each(const uint8_t *s, size_t len, int (*fn)(void *arg, const uint8_t *id, size_t len), void *arg);
/* Such an id without the white space and comments of the obsolete form (section 4.5.4): octets of what is valid, 0: it
 * is none. */
size_t message_id_text(const uint8_t *s, size_t len, char out[MESSAGE_ID_MAX]);

#endif
