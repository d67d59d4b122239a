/* The capabilities (RFC 3501 section 7.2.1), and when each is told: what a client may do now. */
#include "server/access/imap/capability.h"
#include "server/login/login_scram.h"

/* A password crosses the wire under TLS, or not at all; the config may except loopback, for test tools. */
bool imap_login_allowed(const struct imap_session *s)
{
    return conn_is_tls(s->conn) || (s->loopback && s->a->config.imap_plain_auth_loopback);
}

enum when { ALWAYS, BEFORE_TLS, LOGIN_OFF, LOGIN_ON, LOGIN_TLS, AFTER_LOGIN };
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
    {"AUTH=SCRAM-SHA-256", LOGIN_ON},
    {"AUTH=SCRAM-SHA-256-PLUS", LOGIN_TLS},
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
        case LOGIN_TLS: on = before && login_scram_plus(s->conn); break;
        case AFTER_LOGIN: on = !before; break;
        }
        if (on)
            err = buf_printf(out, " %s", capabilities[i].name);
    }
    return err;
}
