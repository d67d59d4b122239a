/* The records of what others report: the inside of the store, and the vault. */
#ifndef STORE_DMARC_DAY_IMPL_H
#define STORE_DMARC_DAY_IMPL_H

#include "store/dmarc_day.h"
#include "store/schema.h"
#include "store/write.h"

int schema_get_dmarc_day(struct engine_txn *t, const struct record_keys *k, const char *domain, uint32_t day,
                         struct dmarc_day *ret); /* absent: zeros */
int schema_put_dmarc_day(struct engine_txn *t, const struct record_keys *k, const char *domain, uint32_t day,
                         const struct dmarc_day *v);
int schema_unpack_dmarc_day(const struct record_keys *k, struct slice key, struct slice value, struct dmarc_day *ret);

/* Counts a report, once. ERR_NOT_FOUND: the domain is not ours; ERR_REFUSED: its day is too old, or to come. */
int dmarc_day_note(struct store_write *w, const struct dmarc_told *told, bool *ret_duplicate);
int dmarc_days_forget(struct store_write *w, const char *domain); /* all of a domain's */

/* A round over all domains' days, which takes away those that are too old. at: zeroed before; *ret_more: it is not
 * done. */
struct dmarc_sweep {
    size_t len;
    uint8_t last[1 + RECORD_HASH_SIZE + 4];
};
int dmarc_days_sweep(struct store_write *w, struct dmarc_sweep *at, bool *ret_more);

#endif
