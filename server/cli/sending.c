/* What accounts send: who is held, what is said of it in account and status, and the orders about it. */
#include "server/cli/sending.h"

#include <inttypes.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/date.h"

enum { COMPLAINT_DAYS = 30 /* so long status says that there was one */ };

static const char *const whys[] = {
    [HOLD_BY_HAND] = "by hand",
    [HOLD_MESSAGES] = "it reached send_messages_day",
    [HOLD_RECIPIENTS] = "it reached send_recipients_day",
    [HOLD_FIRST] = "it reached send_new_recipients_day",
};

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
    if (s.complaints > 0) {
        date_write_day(s.complained, day);
        fprintf(out, "  reported %" PRIu32 " complaints about its mail, the last one on %s\n", s.complaints, day);
    }
    err = view_hold(v, account, &h);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    date_write_day(h.since, day);
    fprintf(out, "  held     since %s, %s: it sends nothing until letterlock account release\n", day, whys[h.why]);
    return OK;
}

int sending_collect(struct view *v, uint64_t account, const char *address, uint64_t now, json_t *list)
{
    struct schema_hold h = {.why = 0};
    struct schema_sent s;
    int err = view_sent(v, account, &s);
    if (err == OK)
        err = view_hold(v, account, &h);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (err == ERR_NOT_FOUND && (s.complaints == 0 || s.complained + COMPLAINT_DAYS * UINT64_C(86400) < now))
        return OK;
    json_t *o = json_pack("{s:s, s:b, s:I}", "account", address, "held", (int)(err == OK), "complaints",
                          (json_int_t)s.complaints);
    if (err == OK) {
        json_object_set_new(o, "since", json_integer((json_int_t)h.since));
        json_object_set_new(o, "why", json_string(whys[h.why]));
    }
    if (s.complaints > 0)
        json_object_set_new(o, "complained", json_integer((json_int_t)s.complained));
    json_array_append_new(list, o);
    return OK;
}

static void print_day(const char *before, const json_t *o, const char *name)
{
    char day[DATE_DAY_SIZE];
    date_write_day((uint64_t)json_integer_value(json_object_get(o, name)), day);
    printf("%s%s", before, day);
}

void sending_print_list(const json_t *list)
{
    size_t k;
    json_t *v;
    json_array_foreach(list, k, v)
    {
        const char *account = json_string_value(json_object_get(v, "account"));
        if (json_is_true(json_object_get(v, "held"))) {
            print_day("  held: ", v, "since");
            printf("  %s sends nothing: %s; letterlock account show, release\n", account,
                   json_string_value(json_object_get(v, "why")));
        }
        if (json_integer_value(json_object_get(v, "complaints"))) {
            print_day("  complaints: ", v, "complained");
            printf("  %s: %" JSON_INTEGER_FORMAT " about its mail, by mail to abuse@ that names it\n", account,
                   json_integer_value(json_object_get(v, "complaints")));
        }
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
