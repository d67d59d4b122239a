/* The command table. Adding a command takes a row here and its file; a row declares its handler. */
#ifndef IMAP_COMMANDS_H
#define IMAP_COMMANDS_H

#include "server/access/imap/job.h"

#define IMAP_NOT_AUTH IMAP_STATE_NOT_AUTH
#define IMAP_SELECTED IMAP_STATE_SELECTED
#define IMAP_AUTH (IMAP_STATE_AUTH | IMAP_STATE_SELECTED)
#define IMAP_ANY (IMAP_STATE_NOT_AUTH | IMAP_AUTH)

/* name, states in which it is allowed, flags, handler */
#define IMAP_COMMANDS(X)                                                                           \
    X("CAPABILITY", IMAP_ANY, 0, imap_cmd_capability)                                              \
    X("NOOP", IMAP_ANY, 0, imap_cmd_noop)                                                          \
    X("LOGOUT", IMAP_ANY, IMAP_CMD_NO_SYNC, imap_cmd_logout)                                       \
    X("ID", IMAP_ANY, 0, imap_cmd_id) /* RFC 2971 */                                               \
    X("STARTTLS", IMAP_NOT_AUTH, 0, imap_cmd_starttls)                                             \
    X("LOGIN", IMAP_NOT_AUTH, 0, imap_cmd_login)                                                   \
    X("AUTHENTICATE", IMAP_NOT_AUTH, 0, imap_cmd_authenticate)                                     \
    X("ENABLE", IMAP_AUTH, 0, imap_cmd_enable)       /* RFC 5161 */                                \
    X("NAMESPACE", IMAP_AUTH, 0, imap_cmd_namespace) /* RFC 2342 */                                \
    X("LIST", IMAP_AUTH, 0, imap_cmd_list)                                                         \
    X("LSUB", IMAP_AUTH, 0, imap_cmd_lsub)                                                         \
    X("STATUS", IMAP_AUTH, 0, imap_cmd_status)                                                     \
    X("SELECT", IMAP_AUTH, IMAP_CMD_NO_SYNC, imap_cmd_select)                                      \
    X("EXAMINE", IMAP_AUTH, IMAP_CMD_NO_SYNC, imap_cmd_examine)                                    \
    X("CREATE", IMAP_AUTH, 0, imap_cmd_create)                                                     \
    X("DELETE", IMAP_AUTH, 0, imap_cmd_delete)                                                     \
    X("RENAME", IMAP_AUTH, 0, imap_cmd_rename)                                                     \
    X("SUBSCRIBE", IMAP_AUTH, 0, imap_cmd_subscribe)                                               \
    X("UNSUBSCRIBE", IMAP_AUTH, 0, imap_cmd_unsubscribe)                                           \
    X("APPEND", IMAP_AUTH, 0, imap_cmd_append)                                                     \
    X("IDLE", IMAP_AUTH, 0, imap_cmd_idle) /* RFC 2177 */                                          \
    X("CHECK", IMAP_SELECTED, 0, imap_cmd_check)                                                   \
    X("CLOSE", IMAP_SELECTED, IMAP_CMD_NO_SYNC | IMAP_CMD_MAP, imap_cmd_close)                     \
    X("UNSELECT", IMAP_SELECTED, IMAP_CMD_NO_SYNC, imap_cmd_unselect) /* RFC 3691 */               \
    X("EXPUNGE", IMAP_SELECTED, IMAP_CMD_UID | IMAP_CMD_MAP, imap_cmd_expunge)                     \
    X("SEARCH", IMAP_SELECTED, IMAP_CMD_UID | IMAP_CMD_NO_EXPUNGE | IMAP_CMD_MAP, imap_cmd_search) \
    X("FETCH", IMAP_SELECTED, IMAP_CMD_UID | IMAP_CMD_NO_EXPUNGE | IMAP_CMD_MAP, imap_cmd_fetch)   \
    X("STORE", IMAP_SELECTED, IMAP_CMD_UID | IMAP_CMD_NO_EXPUNGE | IMAP_CMD_MAP, imap_cmd_store)   \
    X("COPY", IMAP_SELECTED, IMAP_CMD_UID | IMAP_CMD_MAP, imap_cmd_copy)                           \
    X("MOVE", IMAP_SELECTED, IMAP_CMD_UID | IMAP_CMD_MAP, imap_cmd_move) /* RFC 6851 */            \
    X("REPLACE", IMAP_SELECTED, IMAP_CMD_UID, imap_cmd_replace)          /* RFC 8508 */

#define IMAP_DECLARE(name, states, flags, run) void run(struct imap_job *j);
IMAP_COMMANDS(IMAP_DECLARE)
#undef IMAP_DECLARE

const struct imap_command_def *imap_command_find(const char *name); /* NULL: there is none */

#endif
