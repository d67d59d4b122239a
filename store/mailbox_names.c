/* Making, deleting, renaming and subscribing mailboxes, and the work that such a request leaves to be done in steps: a
 * large mailbox must not hold the one writer. */
#include "store/mailbox.h"

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
    int err = schema_put_mailbox_name(w->t, w->keys, w->account, box.id, &record);
    if (err == OK)
        err = schema_put_mailbox(w->t, w->account, &box);
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

static int room_check(const struct schema_account *account, const struct names *names, uint32_t more)
{
    if (more > MAILBOXES_MAX - names->n || account->mailbox_next > UINT32_MAX - 1 - more ||
        account->uidvalidity_last > UINT32_MAX - more)
        return ERR_LIMIT;
    return OK;
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
    int err = room_check(account, names, levels_missing(names, name));
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

static int job_put(struct store_write *w, uint32_t mailbox, enum mailbox_job job, uint32_t to, uint32_t uid_end)
{
    uint8_t value[9];
    struct pack p;
    pack_init(&p, value, sizeof(value));
    pack_u8(&p, (uint8_t)job);
    pack_u32(&p, to);
    pack_u32(&p, uid_end);
    struct schema_keybuf k;
    return write_put(w, key_u32(&k, 'Z', mailbox), slice_of(value, p.len));
}

int mailbox_delete(struct store_write *w, uint32_t mailbox)
{
    if (mailbox == MAILBOX_INBOX)
        return ERR_DENIED;
    struct schema_mailbox box;
    int err = schema_get_mailbox(w->t, w->account, mailbox, &box);
    if (err != OK)
        return err;
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
    return job_put(w, mailbox, JOB_ERASE, 0, 0);
}

/* ---- renaming ---- */

static int rename_check(const struct schema_account *account, const struct names *names, const char *old,
                        const char *new)
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
    return room_check(account, names, levels_missing(names, new) - 1);
}

static int rename_one(struct store_write *w, uint32_t id, size_t old_len, const char *new)
{
    static struct schema_mailbox_name record;
    char name[2 * MAILBOX_NAME_MAX];
    int err = schema_get_mailbox_name(w->t, w->keys, w->account, id, &record);
    if (err != OK)
        return err;
    strcpy(name, new);
    strcat(name, record.name + old_len);
    memset(record.name, 0, sizeof(record.name));
    memcpy(record.name, name, strlen(name)); /* rename_check saw that it fits */
    w->wrote = true;
    return schema_put_mailbox_name(w->t, w->keys, w->account, id, &record);
}

static int rename_all(struct store_write *w, struct schema_account *account, const struct names *names, const char *old,
                      const char *new)
{
    struct schema_mailbox parent;
    uint32_t next = account->mailbox_next;
    int err = rename_check(account, names, old, new);
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

/* Moves what the set holds; more may be left below uid_end. */
static int move_step(struct store_write *w, uint32_t from, uint32_t to, uint32_t uid_end, bool *ret_done)
{
    static struct mailbox_set set;
    static uint32_t uids[VAULT_SET_MAX];
    struct uid_range all = {1, uid_end - 1};
    uint32_t validity;
    uint64_t modseq;
    bool done = true;
    int err = uid_end > 1 ? mailbox_set_find(w, from, &all, 1, &set) : (set.n = 0, OK);
    if (err == ERR_LIMIT) { /* the set is full: these first */
        done = false;
        err = OK;
    }
    if (err == OK && set.n > 0)
        err = mailbox_copy(w, from, to, true, &set, uids, &validity, &modseq);
    if (err == OK)
        *ret_done = done;
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
    err = schema_get_mailbox(w->t, w->account, MAILBOX_INBOX, &inbox);
    if (err == OK)
        err = mailbox_create(w, account, name, 0, &to, &validity);
    bool done;
    if (err == OK)
        err = move_step(w, MAILBOX_INBOX, to, inbox.uidnext, &done);
    if (err == OK && !done)
        err = job_put(w, MAILBOX_INBOX, JOB_MOVE, to, inbox.uidnext);
    if (err == OK)
        *ret_mailbox = to;
    return err;
}

int mailbox_subscribe(struct store_write *w, uint32_t mailbox, bool on)
{
    static struct schema_mailbox_name record;
    int err = schema_get_mailbox_name(w->t, w->keys, w->account, mailbox, &record);
    if (err != OK || record.subscribed == on)
        return err;
    record.subscribed = on;
    w->wrote = true;
    return schema_put_mailbox_name(w->t, w->keys, w->account, mailbox, &record);
}

/* ---- steps ---- */

struct job {
    uint32_t mailbox, to, uid_end;
    uint8_t kind;
};

static int job_one(void *arg, struct slice key, struct slice value)
{
    struct job *job = arg;
    struct unpack k, v;
    unpack_init(&k, key.data, key.len);
    unpack_init(&v, value.data, value.len);
    unpack_u8(&k);
    job->mailbox = unpack_u32(&k);
    job->kind = unpack_u8(&v);
    job->to = unpack_u32(&v);
    job->uid_end = unpack_u32(&v);
    return unpack_done(&k) && unpack_done(&v) ? 1 : ERR_FORMAT;
}

struct erase_scan {
    uint32_t n;
    uint32_t uids[ERASE_MESSAGES];
    struct schema_entry entries[ERASE_MESSAGES];
};

static int erase_entry(void *arg, struct slice key, struct slice value)
{
    struct erase_scan *s = arg;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    unpack_u32(&u);
    s->uids[s->n] = unpack_u32(&u);
    int err = schema_unpack_entry(value, &s->entries[s->n]);
    if (err != OK || !unpack_done(&u))
        return ERR_FORMAT;
    return ++s->n == ERASE_MESSAGES;
}

struct keys_scan {
    uint32_t n;
    struct {
        uint8_t len, b[ENGINE_KEY_MAX];
    } v[ERASE_KEYS];
};

static int erase_key(void *arg, struct slice key, struct slice value)
{
    (void)value;
    struct keys_scan *s = arg;
    s->v[s->n].len = (uint8_t)key.len;
    memcpy(s->v[s->n].b, key.data, key.len);
    return ++s->n == ERASE_KEYS;
}

static int erase_keys(struct store_write *w, char letter, uint32_t mailbox, uint32_t *n)
{
    static struct keys_scan s;
    struct schema_keybuf from, to;
    s.n = 0;
    int err = engine_scan(w->t, w->account, key_u32(&from, letter, mailbox), key_u32(&to, letter, mailbox + 1), 0,
                          erase_key, &s);
    for (uint32_t i = 0; err >= 0 && i < s.n; i++)
        err = write_del(w, slice_of(s.v[i].b, s.v[i].len));
    *n += s.n;
    return err < 0 ? err : OK;
}

static int erase_step(struct store_write *w, uint32_t mailbox)
{
    static struct erase_scan s;
    struct schema_keybuf from, to, k;
    s.n = 0;
    int err =
        engine_scan(w->t, w->account, key_u32(&from, 'u', mailbox), key_u32(&to, 'u', mailbox + 1), 0, erase_entry, &s);
    if (err < 0)
        return err;
    for (uint32_t i = 0; i < s.n; i++)
        if ((err = message_unref(w, s.entries[i].message)) != OK ||
            (err = write_del(w, key_u32_u32(&k, 'u', mailbox, s.uids[i]))) != OK ||
            (err = write_del(w, key_u32_u64_u32(&k, 'w', mailbox, s.entries[i].modseq, s.uids[i]))) != OK)
            return err;
    if (s.n > 0)
        return OK;
    uint32_t n = 0;
    if ((err = erase_keys(w, 'k', mailbox, &n)) != OK || (err = erase_keys(w, 'x', mailbox, &n)) != OK ||
        (err = erase_keys(w, 'w', mailbox, &n)) != OK)
        return err;
    return n > 0 ? OK : write_del(w, key_u32(&k, 'Z', mailbox));
}

int mailbox_job_step(struct store_write *w, struct mailbox_job_step *ret)
{
    struct job job;
    struct schema_keybuf from, to;
    int err = engine_scan(w->t, w->account, key_simple(&from, 'Z'), key_simple(&to, 'Z' + 1), 0, job_one, &job);
    if (err <= 0)
        return err == OK ? ERR_NOT_FOUND : err;
    *ret = (struct mailbox_job_step){0, 0};
    if (job.kind == JOB_ERASE)
        return erase_step(w, job.mailbox);
    bool done;
    err = job.kind == JOB_MOVE ? move_step(w, job.mailbox, job.to, job.uid_end, &done) : ERR_FORMAT;
    if (err == ERR_NOT_FOUND && !w->wrote) { /* the target was deleted meanwhile: what is left stays where it is */
        err = OK;
        done = true;
    }
    if (err != OK)
        return err;
    *ret = (struct mailbox_job_step){job.mailbox, job.to};
    return done ? write_del(w, key_u32(&from, 'Z', job.mailbox)) : OK;
}
