/* Making, deleting, renaming and subscribing mailboxes. What such a request leaves to be done in steps is in
 * mailbox_jobs.c. */
#include "store/mailbox_impl.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "store/message.h"

int mailbox_name_check(const char *name)
{
    const uint8_t *s = (const uint8_t *)name;
    size_t len = strlen(name);
    if (len >= MAILBOX_NAME_MAX)
        return ERR_LIMIT;
    unsigned depth = 1;
    bool level_empty = true;
    while (*s != '\0') {
        uint32_t c;
        size_t n = utf8_decode(s, len - (size_t)(s - (const uint8_t *)name), &c);
        /* No controls (RFC 5198 section 2, which RFC 9051 section 5.1 follows), no wildcards of LIST. */
        if (n == 0 || utf8_is_control(c) || c == '*' || c == '%')
            return ERR_FORMAT;
        if (*s == '/') {
            if (level_empty)
                return ERR_FORMAT;
            depth++;
        }
        level_empty = *s == '/';
        s += n;
    }
    if (level_empty)
        return ERR_FORMAT;
    return depth > MAILBOX_DEPTH_MAX ? ERR_LIMIT : OK;
}

void mailbox_name_fold(char *name)
{
    if (strncasecmp(name, "INBOX", 5) == 0 && (name[5] == '\0' || name[5] == '/'))
        memcpy(name, "INBOX", 5);
}

/* ---- all names of an account ---- */

struct names {
    uint32_t n;
    uint32_t ids[MAILBOXES_MAX];
    char (*text)[MAILBOX_NAME_MAX];
};

static int id_one(void *arg, struct slice key, struct slice value)
{
    (void)value;
    struct names *names = arg;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    uint32_t id = unpack_u32(&u);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    if (names->n == MAILBOXES_MAX)
        return ERR_LIMIT;
    names->ids[names->n++] = id;
    return OK;
}

static int names_load(struct store_write *w, struct names *ret)
{
    static struct schema_mailbox_name record;
    struct schema_keybuf from, to;
    ret->n = 0;
    ret->text = NULL;
    int err = engine_scan(w->t, w->account, key_simple(&from, 'B'), key_simple(&to, 'B' + 1), 0, id_one, ret);
    if (err != OK)
        return err;
    ret->text = calloc(ret->n + 1, sizeof(*ret->text));
    if (ret->text == NULL)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < ret->n; i++) {
        err = schema_get_mailbox_name(w->t, w->keys, w->account, ret->ids[i], &record);
        if (err != OK) {
            free(ret->text);
            return err == ERR_NOT_FOUND ? ERR_FORMAT : err;
        }
        memcpy(ret->text[i], record.name, MAILBOX_NAME_MAX);
    }
    return OK;
}

static int names_find(const struct names *names, const char *text, size_t len)
{
    for (uint32_t i = 0; i < names->n; i++)
        if (strncmp(names->text[i], text, len) == 0 && names->text[i][len] == '\0')
            return (int)i;
    return -1;
}

static const char *names_of(const struct names *names, uint32_t id)
{
    for (uint32_t i = 0; i < names->n; i++)
        if (names->ids[i] == id)
            return names->text[i];
    return NULL;
}

static bool below(const char *name, const char *parent)
{
    size_t len = strlen(parent);
    return strncmp(name, parent, len) == 0 && name[len] == '/';
}

int mailbox_find(struct store_write *w, const char *name, uint32_t *ret_mailbox)
{
    struct names *names = malloc(sizeof(*names));
    if (names == NULL)
        return ERR_MEMORY;
    int err = names_load(w, names);
    if (err == OK) {
        int i = names_find(names, name, strlen(name));
        if (i >= 0)
            *ret_mailbox = names->ids[i];
        else
            err = ERR_NOT_FOUND;
        free(names->text);
    }
    free(names);
    return err;
}

struct used {
    struct store_write *w;
    uint8_t use;
    uint32_t id;
};

static int see_use(void *arg, struct slice key, struct slice value)
{
    struct used *used = arg;
    struct schema_mailbox_name record;
    struct unpack u;
    int err = schema_unpack_mailbox_name(used->w->keys, used->w->account, key, value, &record);
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    used->id = unpack_u32(&u);
    return err != OK ? err : record.use & used->use ? ERR_EXISTS : OK;
}

int mailbox_find_use(struct store_write *w, uint8_t use, uint32_t *ret_mailbox)
{
    struct used used = {.w = w, .use = use};
    struct schema_keybuf from, to;
    int err = engine_scan(w->t, w->account, key_simple(&from, 'B'), key_simple(&to, 'B' + 1), 0, see_use, &used);
    if (err != ERR_EXISTS)
        return err == OK ? ERR_NOT_FOUND : err;
    *ret_mailbox = used.id;
    return OK;
}

/* ---- making ---- */

static int make_one(struct store_write *w, struct schema_account *account, const char *name, size_t len, uint8_t use,
                    struct schema_mailbox *ret)
{
    static struct schema_mailbox_name record;
    memset(&record, 0, sizeof(record));
    memcpy(record.name, name, len);
    record.use = use;
    uint64_t validity = (uint64_t)account->uidvalidity_last + 1;
    if (w->now > validity && w->now <= UINT32_MAX)
        validity = w->now;
    struct schema_mailbox box = {.id = account->mailbox_next,
                                 .uidvalidity = (uint32_t)validity,
                                 .uidnext = 1,
                                 .first_unseen_hint = 1,
                                 .highestmodseq = 1,
                                 .created = w->now,
                                 .tombstones_from = 1};
    account->uidvalidity_last = box.uidvalidity;
    account->mailbox_next++;
    w->wrote = true;
    usage_charge(w, CHARGE_MAILBOX);
    int err = schema_put_mailbox_name(w->t, w->keys, w->account, box.id, &record);
    if (err == OK)
        err = schema_put_mailbox(w->t, w->keys, w->account, &box);
    if (err == OK)
        *ret = box;
    return err;
}

/* Levels of name that do not exist yet, the name itself included. */
static uint32_t levels_missing(const struct names *names, const char *name)
{
    uint32_t n = 0;
    for (size_t i = 1; i <= strlen(name); i++)
        if ((name[i] == '/' || name[i] == '\0') && names_find(names, name, i) < 0)
            n++;
    return n;
}

static int room_check(struct store_write *w, const struct schema_account *account, const struct names *names,
                      uint32_t more)
{
    if (more > MAILBOXES_MAX - names->n || account->mailbox_next > UINT32_MAX - 1 - more ||
        account->uidvalidity_last > UINT32_MAX - more)
        return ERR_LIMIT;
    return usage_room(w, account, (uint64_t)more * CHARGE_MAILBOX, 0);
}

/* Makes the levels above name that are missing; with_last: name as well. */
static int levels_make(struct store_write *w, struct schema_account *account, const struct names *names,
                       const char *name, bool with_last, uint8_t use, struct schema_mailbox *ret)
{
    for (size_t i = 1; i <= strlen(name); i++) {
        bool last = name[i] == '\0';
        if ((name[i] != '/' && !last) || (last && !with_last) || names_find(names, name, i) >= 0)
            continue;
        int err = make_one(w, account, name, i, last ? use : 0, ret);
        if (err != OK)
            return err;
    }
    return OK;
}

static int create(struct store_write *w, struct schema_account *account, const struct names *names, const char *name,
                  uint8_t use, struct schema_mailbox *ret)
{
    if (names_find(names, name, strlen(name)) >= 0)
        return ERR_EXISTS;
    int err = room_check(w, account, names, levels_missing(names, name));
    if (err != OK)
        return err;
    err = levels_make(w, account, names, name, true, use, ret);
    return err == OK ? schema_put_account(w->t, w->keys, w->account, account) : err;
}

static int name_take(const char *name, char out[MAILBOX_NAME_MAX])
{
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '/') /* RFC 9051 section 6.3.4: a trailing separator only declares an intent */
        len--;
    if (len >= MAILBOX_NAME_MAX)
        return ERR_LIMIT;
    memset(out, 0, MAILBOX_NAME_MAX);
    memcpy(out, name, len);
    mailbox_name_fold(out);
    return mailbox_name_check(out);
}

int mailbox_create(struct store_write *w, struct schema_account *account, const char *name, uint8_t use,
                   uint32_t *ret_mailbox, uint32_t *ret_uidvalidity)
{
    char folded[MAILBOX_NAME_MAX];
    int err = name_take(name, folded);
    if (err != OK)
        return err;
    struct names *names = malloc(sizeof(*names));
    if (names == NULL)
        return ERR_MEMORY;
    struct schema_mailbox box;
    if ((err = names_load(w, names)) == OK) {
        err = create(w, account, names, folded, use, &box);
        free(names->text);
    }
    free(names);
    if (err != OK)
        return err;
    *ret_mailbox = box.id;
    *ret_uidvalidity = box.uidvalidity;
    return OK;
}

/* ---- deleting ---- */

static int count_one(void *arg, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    return --*(uint32_t *)arg == 0;
}

/* 1: there are max records under the letter, or more. */
static int count_to(struct store_write *w, char letter, uint32_t max)
{
    struct schema_keybuf from, to;
    return engine_scan(w->t, w->account, key_simple(&from, letter), key_simple(&to, (char)(letter + 1)), 0, count_one,
                       &max);
}

int mailbox_delete(struct store_write *w, uint32_t mailbox)
{
    if (mailbox == MAILBOX_INBOX)
        return ERR_DENIED;
    struct schema_mailbox box;
    int err = schema_get_mailbox(w->t, w->keys, w->account, mailbox, &box);
    if (err == OK) /* whoever makes and deletes mailboxes faster than they can be erased waits */
        err = count_to(w, 'Z', MAILBOXES_MAX);
    if (err != OK)
        return err > 0 ? ERR_CONFLICT : err;
    struct names *names = malloc(sizeof(*names));
    if (names == NULL)
        return ERR_MEMORY;
    if ((err = names_load(w, names)) != OK) {
        free(names);
        return err;
    }
    const char *name = names_of(names, mailbox);
    if (name == NULL)
        err = ERR_NOT_FOUND;
    for (uint32_t i = 0; err == OK && i < names->n; i++)
        if (below(names->text[i], name))
            err = ERR_CONFLICT;
    free(names->text);
    free(names);
    if (err != OK)
        return err;
    struct schema_keybuf k;
    if ((err = write_del(w, key_u32(&k, 'B', mailbox))) != OK || (err = write_del(w, key_u32(&k, 'b', mailbox))) != OK)
        return err;
    return mailbox_job_put(w, mailbox, JOB_ERASE, 0, 0);
}

/* ---- renaming ---- */

static int rename_check(struct store_write *w, const struct schema_account *account, const struct names *names,
                        const char *old, const char *new)
{
    char moved[2 * MAILBOX_NAME_MAX];
    if (names_find(names, new, strlen(new)) >= 0)
        return ERR_EXISTS;
    if (below(new, old))
        return ERR_CONFLICT;
    for (uint32_t i = 0; i < names->n; i++) {
        if (!below(names->text[i], old))
            continue;
        strcpy(moved, new);
        strcat(moved, names->text[i] + strlen(old));
        int err = mailbox_name_check(moved);
        if (err != OK)
            return err;
    }
    return room_check(w, account, names, levels_missing(names, new) - 1);
}

static int subscription_move(struct store_write *w, const char *old, const char *new)
{
    struct schema_keybuf k;
    struct slice there, key = key_subscription(&k, w->keys, w->account, old);
    int err = engine_get(w->t, w->account, key, &there);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    err = write_del(w, key);
    if (err == OK && engine_get(w->t, w->account, key_subscription(&k, w->keys, w->account, new), &there) == OK)
        usage_charge(w, -CHARGE_SUBSCRIPTION); /* of two names one is left */
    return err == OK ? schema_put_subscription(w->t, w->keys, w->account, new) : err;
}

static int rename_one(struct store_write *w, uint32_t id, size_t old_len, const char *new)
{
    static struct schema_mailbox_name record;
    char name[2 * MAILBOX_NAME_MAX], old[MAILBOX_NAME_MAX];
    int err = schema_get_mailbox_name(w->t, w->keys, w->account, id, &record);
    if (err != OK)
        return err;
    memcpy(old, record.name, sizeof(old));
    strcpy(name, new);
    strcat(name, record.name + old_len);
    memset(record.name, 0, sizeof(record.name));
    memcpy(record.name, name, strlen(name)); /* rename_check saw that it fits */
    w->wrote = true;
    if ((err = subscription_move(w, old, name)) != OK)
        return err;
    return schema_put_mailbox_name(w->t, w->keys, w->account, id, &record);
}

static int rename_all(struct store_write *w, struct schema_account *account, const struct names *names, const char *old,
                      const char *new)
{
    struct schema_mailbox parent;
    uint32_t next = account->mailbox_next;
    int err = rename_check(w, account, names, old, new);
    if (err != OK)
        return err;
    err = levels_make(w, account, names, new, false, 0, &parent);
    for (uint32_t i = 0; err == OK && i < names->n; i++)
        if (strcmp(names->text[i], old) == 0 || below(names->text[i], old))
            err = rename_one(w, names->ids[i], strlen(old), new);
    if (err == OK && account->mailbox_next != next)
        err = schema_put_account(w->t, w->keys, w->account, account);
    return err;
}

int mailbox_rename(struct store_write *w, struct schema_account *account, uint32_t mailbox, const char *name)
{
    char new[MAILBOX_NAME_MAX];
    if (mailbox == MAILBOX_INBOX)
        return ERR_DENIED;
    int err = name_take(name, new);
    if (err != OK)
        return err;
    struct names *names = malloc(sizeof(*names));
    if (names == NULL)
        return ERR_MEMORY;
    if ((err = names_load(w, names)) == OK) {
        const char *old = names_of(names, mailbox);
        err = old == NULL ? ERR_NOT_FOUND : rename_all(w, account, names, old, new);
        free(names->text);
    }
    free(names);
    return err;
}

int mailbox_rename_inbox(struct store_write *w, struct schema_account *account, const char *name, uint32_t *ret_mailbox)
{
    struct schema_mailbox inbox;
    struct schema_keybuf k;
    struct slice job;
    uint32_t to, validity;
    int err = engine_get(w->t, w->account, key_u32(&k, 'Z', MAILBOX_INBOX), &job);
    if (err == OK)
        return ERR_CONFLICT; /* the last such move is still under way */
    if (err != ERR_NOT_FOUND)
        return err;
    err = schema_get_mailbox(w->t, w->keys, w->account, MAILBOX_INBOX, &inbox);
    if (err == OK)
        err = mailbox_create(w, account, name, 0, &to, &validity);
    bool done;
    if (err == OK)
        err = mailbox_job_move(w, MAILBOX_INBOX, to, inbox.uidnext, &done);
    if (err == OK && !done)
        err = mailbox_job_put(w, MAILBOX_INBOX, JOB_MOVE, to, inbox.uidnext);
    if (err == OK)
        *ret_mailbox = to;
    return err;
}

/* ---- subscriptions ---- */

static int subscription_add(struct store_write *w, const char *name)
{
    uint32_t mailbox;
    int err = mailbox_find(w, name, &mailbox);
    if (err == OK)
        err = count_to(w, 's', SUBSCRIPTIONS_MAX);
    if (err == OK)
        err = usage_room_here(w, CHARGE_SUBSCRIPTION, 0, 0);
    if (err != OK)
        return err > 0 ? ERR_LIMIT : err;
    w->wrote = true;
    usage_charge(w, CHARGE_SUBSCRIPTION);
    return schema_put_subscription(w->t, w->keys, w->account, name);
}

int mailbox_subscribe(struct store_write *w, const char *name, bool on)
{
    char folded[MAILBOX_NAME_MAX];
    struct schema_keybuf k;
    struct slice there;
    int err = name_take(name, folded);
    if (err != OK)
        return err;
    struct slice key = key_subscription(&k, w->keys, w->account, folded);
    err = engine_get(w->t, w->account, key, &there);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if ((err == OK) == on)
        return OK;
    if (on)
        return subscription_add(w, folded);
    usage_charge(w, -CHARGE_SUBSCRIPTION);
    return write_del(w, key);
}
