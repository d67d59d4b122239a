/* The command table and the capabilities. */
#include <string.h>

#include "server/access/imap/access.h"

#define ANY (STATE_NOT_AUTH | STATE_AUTH | STATE_SELECTED)
#define AUTH (STATE_AUTH | STATE_SELECTED)

static const struct command commands[] = {
    {"CAPABILITY", ANY, 0, cmd_capability},
    {"NOOP", ANY, 0, cmd_noop},
    {"LOGOUT", ANY, CMD_NO_SYNC, cmd_logout},
    {"ID", ANY, 0, cmd_id}, /* RFC 2971 */
    {"STARTTLS", STATE_NOT_AUTH, 0, cmd_starttls},
    {"LOGIN", STATE_NOT_AUTH, 0, cmd_login},
    {"AUTHENTICATE", STATE_NOT_AUTH, 0, cmd_authenticate},
    {"ENABLE", AUTH, 0, cmd_enable},       /* RFC 5161 */
    {"NAMESPACE", AUTH, 0, cmd_namespace}, /* RFC 2342 */
    {"LIST", AUTH, 0, cmd_list},
    {"LSUB", AUTH, 0, cmd_lsub},
    {"STATUS", AUTH, 0, cmd_status},
    {"SELECT", AUTH, CMD_NO_SYNC, cmd_select},
    {"EXAMINE", AUTH, CMD_NO_SYNC, cmd_examine},
    {"CREATE", AUTH, 0, cmd_create},
    {"DELETE", AUTH, 0, cmd_delete},
    {"RENAME", AUTH, 0, cmd_rename},
    {"SUBSCRIBE", AUTH, 0, cmd_subscribe},
    {"UNSUBSCRIBE", AUTH, 0, cmd_unsubscribe},
    {"APPEND", AUTH, CMD_MESSAGE, cmd_append},
    {"IDLE", AUTH, 0, cmd_idle}, /* RFC 2177 */
    {"CHECK", STATE_SELECTED, 0, cmd_check},
    {"CLOSE", STATE_SELECTED, CMD_NO_SYNC, cmd_close},
    {"UNSELECT", STATE_SELECTED, CMD_NO_SYNC, cmd_unselect}, /* RFC 3691 */
    {"EXPUNGE", STATE_SELECTED, CMD_UID, cmd_expunge},
    {"SEARCH", STATE_SELECTED, CMD_UID | CMD_NO_EXPUNGE, cmd_search},
    {"FETCH", STATE_SELECTED, CMD_UID | CMD_NO_EXPUNGE, cmd_fetch},
    {"STORE", STATE_SELECTED, CMD_UID | CMD_NO_EXPUNGE, cmd_store},
    {"COPY", STATE_SELECTED, CMD_UID, cmd_copy},
    {"MOVE", STATE_SELECTED, CMD_UID, cmd_move},                     /* RFC 6851 */
    {"REPLACE", STATE_SELECTED, CMD_UID | CMD_MESSAGE, cmd_replace}, /* RFC 8508 */
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* A password crosses the wire under TLS, or not at all; the config may except loopback, for test tools. */
bool login_allowed(const struct session *s)
{
    return conn_is_tls(s->conn) || (s->loopback && s->a->config.imap_plain_auth_loopback);
}

enum when { ALWAYS, BEFORE_TLS, LOGIN_OFF, LOGIN_ON, AFTER_LOGIN };
static const struct {
    const char *name;
    enum when when;
} capabilities[] = {
    {"IMAP4rev1", ALWAYS},
    {"LITERAL+", ALWAYS},
    {"ID", ALWAYS},
    {"IDLE", ALWAYS},
    {"ENABLE", ALWAYS},
    {"STARTTLS", BEFORE_TLS},
    {"LOGINDISABLED", LOGIN_OFF},
    {"AUTH=PLAIN", LOGIN_ON},
    {"SASL-IR", LOGIN_ON},
    {"NAMESPACE", AFTER_LOGIN},
    {"UIDPLUS", AFTER_LOGIN},
    {"UNSELECT", AFTER_LOGIN},
    {"MOVE", AFTER_LOGIN},
    {"REPLACE", AFTER_LOGIN},
    {"X-LETTERLOCK-KEY", AFTER_LOGIN}, /* SEARCH by the key a message is encrypted to: docs/openpgp.md */
    {"SPECIAL-USE", AFTER_LOGIN},
    {"CREATE-SPECIAL-USE", AFTER_LOGIN},
    {"LIST-EXTENDED", AFTER_LOGIN},
    {"LIST-STATUS", AFTER_LOGIN},
    {"CHILDREN", AFTER_LOGIN},
    {"STATUS=SIZE", AFTER_LOGIN},
};

int capability_write(const struct session *s, struct buf *out)
{
    bool before = s->state == STATE_NOT_AUTH, tls = conn_is_tls(s->conn);
    int err = buf_puts(out, "CAPABILITY");
    for (size_t i = 0; !err && i < sizeof(capabilities) / sizeof(*capabilities); i++) {
        bool on = false;
        switch (capabilities[i].when) {
        case ALWAYS: on = true; break;
        case BEFORE_TLS: on = before && !tls && s->a->tls; break;
        case LOGIN_OFF: on = before && !login_allowed(s); break;
        case LOGIN_ON: on = before && login_allowed(s); break;
        case AFTER_LOGIN: on = !before; break;
        }
        if (on)
            err = buf_printf(out, " %s", capabilities[i].name);
    }
    return err;
}
