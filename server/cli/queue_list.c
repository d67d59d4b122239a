/* letterlock queue list, show: what waits to be sent, as text for people or as JSON. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/cli/queue.h"
#include "server/core/error.h"
#include "server/mail/date.h"

struct listing {
    bool json, any;
    uint64_t now;
};

static const char *state_of(const struct listing *l, const struct queue_entry *e, uint32_t i)
{
    static const char *const names[] = {
        [QUEUE_QUEUED] = "queued", [QUEUE_DEFERRED] = "deferred", [QUEUE_FAILED] = "failed", [QUEUE_SENT] = "sent"};
    bool waits = e->to[i].state == QUEUE_QUEUED || e->to[i].state == QUEUE_DEFERRED;
    return e->err == OK && waits && (e->account_held || e->envelope.hold_until > l->now) ? "held"
                                                                                         : names[e->to[i].state];
}

/* The next try of any recipient; 0: none is to come. */
static uint64_t next_try(const struct queue_entry *e)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < e->n; i++)
        if (e->to_err[i] == OK && (e->to[i].state == QUEUE_QUEUED || e->to[i].state == QUEUE_DEFERRED) &&
            e->to[i].next_try < next)
            next = e->to[i].next_try;
    return next == UINT64_MAX ? 0 : next;
}

/* ---- JSON ---- */

static json_t *recipients_json(const struct listing *l, const struct queue_entry *e)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < e->n; i++) {
        const struct queue_recipient *r = &e->to[i];
        json_array_append_new(list, e->to_err[i] != OK
                                        ? json_pack("{s:s}", "state", "unreadable")
                                        : json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "to", r->to, "state",
                                                    state_of(l, e, i), "tries", (json_int_t)r->tries, "last_reply",
                                                    r->last_reply, "host", r->host, "tls", queue_proof_word(r->proof)));
    }
    return list;
}

static int print_json(struct listing *l, const struct queue_entry *e)
{
    char id[QUEUE_ID_TEXT];
    const struct queue_envelope *v = &e->envelope;
    queue_id_write(e->id, id);
    json_t *o = e->err == OK ? json_pack("{s:s, s:b, s:b, s:I, s:s, s:I, s:I, s:I, s:I}", "id", id, "account_held",
                                         (int)e->account_held, "forwarded", v->origin == QUEUE_FORWARDED, "queued_at",
                                         (json_int_t)v->queued_at, "from", v->from, "size", (json_int_t)v->size,
                                         "hold_until", (json_int_t)v->hold_until, "next_try", (json_int_t)next_try(e),
                                         "expires", (json_int_t)v->expires)
                             : json_pack("{s:s, s:b}", "id", id, "unreadable", 1);
    if (o == NULL)
        return ERR_MEMORY;
    json_object_set_new(o, "recipients", recipients_json(l, e));
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (text == NULL)
        return ERR_MEMORY;
    printf("%s%s", l->any ? ",\n" : "", text);
    free(text);
    return OK;
}

/* ---- text ---- */

static const char *when(uint64_t seconds, char out[DATE_INTERNET_SIZE])
{
    date_write_internet((int64_t)seconds, out);
    return out;
}

static void print_recipient(const struct listing *l, const struct queue_entry *e, uint32_t i)
{
    const struct queue_recipient *r = &e->to[i];
    char at[DATE_INTERNET_SIZE];
    if (e->to_err[i] != OK) {
        printf("    a recipient that queue.key does not open\n");
        return;
    }
    printf("    ");
    fputs(r->to, stdout);
    printf("  %s", state_of(l, e, i));
    if (r->tries > 0)
        printf(", %" PRIu32 " %s", r->tries, r->tries == 1 ? "try" : "tries");
    if (r->state == QUEUE_DEFERRED && r->next_try > 0)
        printf(", next %s", when(r->next_try, at));
    if (r->last_reply[0] != '\0') {
        printf("\n        ");
        fputs(r->host, stdout);
        printf("%s", r->host[0] != '\0' ? ": " : "");
        fputs(r->last_reply, stdout);
        if (r->proof != QUEUE_PROOF_NONE)
            printf(" (%s)", queue_proof_word(r->proof));
    }
    putchar('\n');
}

static void print_text(const struct listing *l, const struct queue_entry *e)
{
    char id[QUEUE_ID_TEXT], at[DATE_INTERNET_SIZE];
    const struct queue_envelope *v = &e->envelope;
    queue_id_write(e->id, id);
    printf("%s  ", id);
    if (e->err != OK) {
        printf("queue.key does not open its envelope\n");
    } else {
        putchar('<');
        fputs(v->from, stdout);
        printf(">  %" PRIu64 " bytes, queued %s", v->size, when(v->queued_at, at));
        if (v->origin == QUEUE_FORWARDED)
            printf(", forwarded");
        if (e->account_held)
            printf(", its account is held");
        if (v->hold_until == QUEUE_HOLD_FOREVER)
            printf(", held");
        else if (v->hold_until > l->now)
            printf(", held until %s", when(v->hold_until, at));
        putchar('\n');
    }
    for (uint32_t i = 0; i < e->n; i++)
        print_recipient(l, e, i);
}

/* What strangers have said. */
static void tame(struct queue_entry *e)
{
    cli_tame(e->envelope.from);
    for (uint32_t i = 0; i < e->n; i++) {
        cli_tame(e->to[i].to);
        cli_tame(e->to[i].host);
        cli_tame(e->to[i].last_reply);
    }
}

static int print_one(void *arg, struct queue_entry *e)
{
    struct listing *l = arg;
    int err = OK;
    tame(e);
    if (l->json)
        err = print_json(l, e);
    else
        print_text(l, e);
    l->any = true;
    return err;
}

int command_queue_list(struct cli *c)
{
    struct listing l = {.json = c->opt[OPT_JSON] != NULL, .now = (uint64_t)time(NULL)};
    struct instance i;
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    if (l.json)
        putchar('[');
    int err = queue_each(i.view, print_one, &l);
    if (l.json)
        puts("]");
    instance_close(&i);
    return err ? cli_fail(c, "the queue cannot be read: %s", err_str(err)) : EXIT_DONE;
}

int command_queue_show(struct cli *c)
{
    static struct queue_entry e;
    struct listing l = {.json = c->opt[OPT_JSON] != NULL, .now = (uint64_t)time(NULL)};
    struct instance i;
    if (queue_id_read(c->arg[0], &e.id) != OK)
        return cli_fail(c, "%s is no id: 16 digits and letters from a to f, as letterlock queue list prints",
                        c->arg[0]);
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    int err = queue_read_entry(i.view, &e);
    if (err == OK)
        err = print_one(&l, &e);
    if (err == OK && l.json)
        putchar('\n');
    instance_close(&i);
    return err == ERR_NOT_FOUND ? cli_fail(c, "there is no %s in the queue", c->arg[0])
           : err                ? cli_fail(c, "the queue cannot be read: %s", err_str(err))
                                : EXIT_DONE;
}
