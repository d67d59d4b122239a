/* The records of an account that are of no mailbox. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "store/check_impl.h"
#include "store/correspondent_impl.h"
#include "store/fence.h"
#include "store/schema_impl.h"

enum { DAY_SECONDS = 86400 };

static struct unpack behind_letter(struct slice key)
{
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    (void)unpack_u8(&u);
    return u;
}

/* 'A' */
void check_account(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    (void)key;
    (void)value;
    if (!c->whole)
        return; /* said when it was loaded */
    if (c->account.id != c->part)
        check_fault(c, "it is account %" PRIu64 "'s", c->account.id);
    if (!check_has(c, PART_INSTANCE, key_u64(&kb, 'N', c->part)) &&
        !check_has(c, PART_INSTANCE, key_u64(&kb, 'Z', c->part)))
        check_fault(c, "the list of accounts lacks it");
    if (!check_has(c, c->part, key_simple(&kb, 'q')))
        check_fault(c, "it has no record of what it holds");
    if (!check_has(c, c->part, key_simple(&kb, 'n')))
        check_fault(c, "it has no fence");
}

/* 'q': its figures are counted again elsewhere */
void check_usage(struct check *c, struct slice key, struct slice value)
{
    struct schema_usage u;
    (void)key;
    (void)value;
    check_opened(c, schema_get_usage(c->t, c->k, c->part, &u));
}

/* 'K' and its certificate */
void check_key(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    struct schema_key v;
    size_t len;
    if (!check_opened(c, schema_unpack_key(c->k, c->part, key, value, &v)))
        return;
    if (!slice_equal(key_certificate(&kb, c->k, c->part, v.verdict.primary_fpr, v.verdict.primary_fpr_len), key))
        check_fault(c, "it is another certificate's");
    uint8_t *cert = malloc(PGP_CERT_MAX);
    if (!cert) {
        c->err = ERR_MEMORY;
        return;
    }
    int err = schema_get_cert(c->t, c->k, c->part, &v, cert, &len);
    if (err == ERR_NOT_FOUND || err == ERR_CRYPTO || err == ERR_FORMAT || err == ERR_UNAPPROVED)
        check_fault(c, "its certificate is %s", err == ERR_NOT_FOUND ? "not there" : "another one, or was changed");
    else
        check_opened(c, err);
    free(cert);
}

/* 'G': whether it is the approval of what is there is looked at elsewhere */
void check_approval(struct check *c, struct slice key, struct slice value)
{
    uint32_t keys_version;
    uint8_t approval[APPROVAL_SIZE];
    (void)key;
    (void)value;
    if (check_opened(c, schema_get_approval(c->t, c->k, c->part, &keys_version, approval)) && c->whole &&
        keys_version != c->account.keys_version)
        check_fault(c, "it is of another set of certificates");
}

/* 'P' */
void check_password(struct check *c, struct slice key, struct slice value)
{
    struct schema_app_password p;
    if (check_opened(c, schema_unpack_app_password(c->k, c->part, key, value, &p)) && c->whole &&
        p.number >= c->account.password_next)
        check_fault(c, "it has number %" PRIu32 ", which was not given out yet", p.number);
}

/* 'r', 'i' */
void check_correspondent(struct check *c, struct slice key, struct slice value)
{
    static struct correspondent got; /* large */
    if (check_opened(c, schema_unpack_correspondent(c->k, c->part, key, value, &got)) &&
        (key.data[0] == CORRESPONDENT_INCOMING) != (got.key.from == KNOWN_AUTOCRYPT))
        check_fault(c, "its key is of another source than such records have");
}

/* 'U' */
void check_correspondents(struct check *c, struct slice key, struct slice value)
{
    struct correspondents n;
    (void)key;
    (void)value;
    (void)check_opened(c, schema_get_correspondents(c->t, c->k, c->part, &n));
}

/* 'F': loaded with the account; how many carry it is counted elsewhere */
void check_keyword(struct check *c, struct slice key, struct slice value)
{
    struct unpack u = behind_letter(key);
    uint32_t number = unpack_u32(&u);
    (void)value;
    if (c->whole && (number >= c->keywords.n || c->keywords.v[number].text[0] == '\0'))
        check_fault(c, "it is not what would have been written");
}

/* 's' */
void check_subscription(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    char name[MAILBOX_NAME_MAX];
    if (check_opened(c, schema_unpack_subscription(c->k, c->part, key, value, name)) &&
        !slice_equal(key_subscription(&kb, c->k, c->part, name), key))
        check_fault(c, "it is another name's");
}

/* 'm': its octets are read elsewhere, and so is how many entries name it */
void check_message(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    struct schema_message m;
    struct unpack u = behind_letter(key);
    (void)value;
    if (!check_opened(c, schema_get_message(c->t, c->k, c->part, unpack_u64(&u), &m, NULL)) || !c->whole)
        return;
    if (m.id >= c->number_next)
        check_fault(c, "its number was not given out yet");
    if (m.references == 0)
        check_fault(c, "no entry names it");
    if (m.expiry_hour && !check_has(c, c->part, key_u32_u64(&kb, 'X', m.expiry_hour, m.id)))
        check_fault(c, "it expires, and the index by hours lacks it");
}

/* 'n', and those among the blobs */
void check_fence(struct check *c, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    check_opened(c, fence_check(c->t, c->k, c->part));
}

/* 'D': its message may be gone */
void check_delivery(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    struct schema_delivery d;
    (void)value;
    if (check_opened(c, schema_get_delivery(c->t, c->k, c->part, key.data + 1, &d)) &&
        !check_has(c, c->part, key_u32_hash(&kb, 'e', (uint32_t)(d.time / DAY_SECONDS), key.data + 1)))
        check_fault(c, "the index by days lacks it");
}

/* 'e' */
void check_delivery_day(struct check *c, struct slice key, struct slice value)
{
    struct schema_delivery d;
    struct unpack u = behind_letter(key);
    uint32_t day = unpack_u32(&u);
    (void)value;
    if (check_opened(c, schema_get_delivery(c->t, c->k, c->part, key.data + 5, &d)) && d.time / DAY_SECONDS != day)
        check_fault(c, "the delivery is of another day");
}

/* 'X' */
void check_expiry(struct check *c, struct slice key, struct slice value)
{
    struct schema_message m;
    struct unpack u = behind_letter(key);
    uint32_t hour = unpack_u32(&u);
    (void)value;
    if (check_opened(c, schema_get_message(c->t, c->k, c->part, unpack_u64(&u), &m, NULL)) && m.expiry_hour != hour)
        check_fault(c, "the message expires in another hour");
}

/* 'Y' */
void check_copy(struct check *c, struct slice key, struct slice value)
{
    struct schema_copy copy;
    struct schema_mailbox box;
    bool there;
    if (!check_opened(c, schema_unpack_copy(c->k, c->part, key, value, &copy)))
        return;
    check_found_there(c, schema_get_mailbox(c->t, c->k, c->part, copy.to, &box), &there);
    if (copy.last < copy.first || (there && copy.last >= box.uidnext))
        check_fault(c, "it has UIDs that were not given out yet");
}

/* 'Z' */
void check_job(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    struct schema_job job;
    if (!check_opened(c, schema_unpack_job(c->k, c->part, key, value, &job)))
        return;
    if (check_has(c, c->part, key_u32(&kb, 'b', job.mailbox)) != (job.job == JOB_MOVE))
        check_fault(c, job.job == JOB_MOVE ? "its mailbox is not there" : "its mailbox is still there");
}
