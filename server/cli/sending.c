/* What accounts send: who is held, what is said of it in account and status, and the orders about it. */
#include "server/cli/sending.h"

#include <inttypes.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/date.h"

static const char *const whys[] = {
    [HOLD_BY_HAND] = "by hand",
    [HOLD_MESSAGES] = "it reached send_messages_day",
    [HOLD_RECIPIENTS] = "it reached send_recipients_day",
    [HOLD_FIRST] = "it reached send_new_recipients_day",
    [HOLD_COMPLAINTS] = "complaints about its mail, complaints_day",
};

static int print_complaints(struct view *v, uint64_t account, uint64_t now, FILE *out)
{
    char day[DATE_DAY_SIZE];
    struct schema_complaints c;
    int err = view_complaints(v, account, &c);
    if (err != OK || c.total == 0)
        return err;
    date_write_day(c.last, day);
    fprintf(out, "  reported %" PRIu32 " complaints about its mail, %" PRIu32 " in the last 24 hours, the last on %s\n",
            c.total, complaints_of_day(&c, now), day);
    return OK;
}

int sending_print(struct view *v, uint64_t account, uint64_t now, FILE *out)
{
    char day[DATE_DAY_SIZE];
    struct sending_sum sum;
    struct schema_sent s;
    struct schema_hold h;
    int err = view_sent(v, account, &s);
    if (err != OK)
        return err;
    sending_total(&s, now, &sum);
    fprintf(out,
            "  sent     %" PRIu32 " messages to %" PRIu32 " recipients, %" PRIu32
            " of them new, in the last 24 hours\n",
            sum.messages, sum.recipients, sum.first);
    err = print_complaints(v, account, now, out);
    if (err != OK)
        return err;
    err = view_hold(v, account, &h);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    date_write_day(h.since, day);
    fprintf(out, "  held     since %s, %s: it sends nothing until letterlock account release\n", day, whys[h.why]);
    return OK;
}

int sending_collect(struct view *v, uint64_t account, const char *address, uint64_t now, json_t *list)
{
    struct schema_complaints c;
    struct schema_hold h;
    int err = view_complaints(v, account, &c);
    if (err == OK)
        err = view_hold(v, account, &h);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    const uint32_t day = complaints_of_day(&c, now);
    if (err == ERR_NOT_FOUND && day == 0)
        return OK;
    json_t *o =
        json_pack("{s:s, s:b, s:I}", "account", address, "held", (int)(err == OK), "complaints", (json_int_t)day);
    if (err == OK) {
        json_object_set_new(o, "since", json_integer((json_int_t)h.since));
        json_object_set_new(o, "why", json_string(whys[h.why]));
    }
    json_array_append_new(list, o);
    return OK;
}

void sending_print_list(const json_t *list)
{
    size_t k;
    json_t *v;
    json_array_foreach(list, k, v)
    {
        const char *account = json_string_value(json_object_get(v, "account"));
        const json_int_t complaints = json_integer_value(json_object_get(v, "complaints"));
        char day[DATE_DAY_SIZE];
        date_write_day((uint64_t)json_integer_value(json_object_get(v, "since")), day);
        if (json_is_true(json_object_get(v, "held")))
            printf("  held: %s  since %s it sends nothing: %s; letterlock account show, release\n", account, day,
                   json_string_value(json_object_get(v, "why")));
        if (complaints > 0)
            printf("  complaints: %s  others complained about %" JSON_INTEGER_FORMAT
                   " of its messages in the last 24 hours\n",
                   account, complaints);
    }
}

int command_account_hold(struct cli *c)
{
    struct vault_request q = {.type = VAULT_ACCOUNT_HOLD, .hold = true};
    return instance_account_call(c, &q);
}

int command_account_release(struct cli *c)
{
    struct vault_request q = {.type = VAULT_ACCOUNT_HOLD, .hold = false};
    return instance_account_call(c, &q);
}
