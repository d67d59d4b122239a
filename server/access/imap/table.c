/* The command table and the capabilities. */
#include <string.h>

#include "server/access/imap/access.h"

#define ANY (IMAP_STATE_NOT_AUTH | IMAP_STATE_AUTH | IMAP_STATE_SELECTED)
#define AUTH (IMAP_STATE_AUTH | IMAP_STATE_SELECTED)

static const struct imap_command_def commands[] = {
    {"CAPABILITY", ANY, 0, imap_cmd_capability},
    {"NOOP", ANY, 0, imap_cmd_noop},
    {"LOGOUT", ANY, IMAP_CMD_NO_SYNC, imap_cmd_logout},
    {"ID", ANY, 0, imap_cmd_id}, /* RFC 2971 */
    {"STARTTLS", IMAP_STATE_NOT_AUTH, 0, imap_cmd_starttls},
    {"LOGIN", IMAP_STATE_NOT_AUTH, 0, imap_cmd_login},
    {"AUTHENTICATE", IMAP_STATE_NOT_AUTH, 0, imap_cmd_authenticate},
    {"ENABLE", AUTH, 0, imap_cmd_enable},       /* RFC 5161 */
    {"NAMESPACE", AUTH, 0, imap_cmd_namespace}, /* RFC 2342 */
    {"LIST", AUTH, 0, imap_cmd_list},
    {"LSUB", AUTH, 0, imap_cmd_lsub},
    {"STATUS", AUTH, 0, imap_cmd_status},
    {"SELECT", AUTH, IMAP_CMD_NO_SYNC, imap_cmd_select},
    {"EXAMINE", AUTH, IMAP_CMD_NO_SYNC, imap_cmd_examine},
    {"CREATE", AUTH, 0, imap_cmd_create},
    {"DELETE", AUTH, 0, imap_cmd_delete},
    {"RENAME", AUTH, 0, imap_cmd_rename},
    {"SUBSCRIBE", AUTH, 0, imap_cmd_subscribe},
    {"UNSUBSCRIBE", AUTH, 0, imap_cmd_unsubscribe},
    {"APPEND", AUTH, IMAP_CMD_MESSAGE, imap_cmd_append},
    {"IDLE", AUTH, 0, imap_cmd_idle}, /* RFC 2177 */
    {"CHECK", IMAP_STATE_SELECTED, 0, imap_cmd_check},
    {"CLOSE", IMAP_STATE_SELECTED, IMAP_CMD_NO_SYNC, imap_cmd_close},
    {"UNSELECT", IMAP_STATE_SELECTED, IMAP_CMD_NO_SYNC, imap_cmd_unselect}, /* RFC 3691 */
    {"EXPUNGE", IMAP_STATE_SELECTED, IMAP_CMD_UID, imap_cmd_expunge},
    {"SEARCH", IMAP_STATE_SELECTED, IMAP_CMD_UID | IMAP_CMD_NO_EXPUNGE, imap_cmd_search},
    {"FETCH", IMAP_STATE_SELECTED, IMAP_CMD_UID | IMAP_CMD_NO_EXPUNGE, imap_cmd_fetch},
    {"STORE", IMAP_STATE_SELECTED, IMAP_CMD_UID | IMAP_CMD_NO_EXPUNGE, imap_cmd_store},
    {"COPY", IMAP_STATE_SELECTED, IMAP_CMD_UID, imap_cmd_copy},
    {"MOVE", IMAP_STATE_SELECTED, IMAP_CMD_UID, imap_cmd_move},                          /* RFC 6851 */
    {"REPLACE", IMAP_STATE_SELECTED, IMAP_CMD_UID | IMAP_CMD_MESSAGE, imap_cmd_replace}, /* RFC 8508 */
};

const struct imap_command_def *imap_command_find(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* A password crosses the wire under TLS, or not at all; the config may except loopback, for test tools. */
bool imap_login_allowed(const struct imap_session *s)
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

int imap_capability_write(const struct imap_session *s, struct buf *out)
{
    bool before = s->state == IMAP_STATE_NOT_AUTH, tls = conn_is_tls(s->conn);
    int err = buf_puts(out, "CAPABILITY");
    for (size_t i = 0; !err && i < sizeof(capabilities) / sizeof(*capabilities); i++) {
        bool on = false;
        switch (capabilities[i].when) {
        case ALWAYS: on = true; break;
        case BEFORE_TLS: on = before && !tls && s->a->tls; break;
        case LOGIN_OFF: on = before && !imap_login_allowed(s); break;
        case LOGIN_ON: on = before && imap_login_allowed(s); break;
        case AFTER_LOGIN: on = !before; break;
        }
        if (on)
            err = buf_printf(out, " %s", capabilities[i].name);
    }
    return err;
}
