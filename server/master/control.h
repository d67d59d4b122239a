/* The control socket (DIR/run/control): how the command line talks to a running master. Only root and the owner of
 * DIR may connect (SO_PEERCRED). ipc messages. */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

enum control_msg {
    CONTROL_STATUS = 1,   /* Reply: u32 0, then u32 n roles: str name, u32 instance, u64 pid, u64 restarts, u32 m,
        m times (str counter, u64 value) */
    CONTROL_VAULT,        /* Reply: u32 0; fd: an admin channel to the vault */
    CONTROL_JUDGE,        /* Reply: u32 0; fd: a channel to the judge */
    CONTROL_RELOAD,       /* config and TLS files read again. Reply: u32 status, str why; after 0 what is to be minded,
        a line each */
    CONTROL_STOP,         /* Reply: u32 0, then master ends */
    CONTROL_MIND,         /* Reply: u32 0, u32 n, n times str what the operator should look at */
    CONTROL_SEAL,         /* Reply: u32 0; fd: a channel to gpg seal */
    CONTROL_CHALLENGE,    /* u8 begins (0, 1), str name, str token, str key authorization ("" if it ends). Reply: u32
        status; ERR_UNSUPPORTED: no role serves HTTP */
    CONTROL_CERTIFICATES, /* u32 from. Reply: u32 0, u32 n, n times: str name, str other names with blanks between,
        u64 when it ends; 0: that is all */
    CONTROL_REPLY = 100,
};
enum { CONTROL_WHY_MAX = 4096, CONTROL_MIND_MAX = 2500, CONTROL_MINDS_MAX = 16 }; /* with a NUL */

/* Connects; ERR_NOT_FOUND when no server runs on dir. */
int control_connect(const char *dir, int *ret_fd);
/* One blocking call; *ret_fd -1 when the reply carries none. */
int control_call(int fd, enum control_msg msg, unsigned char *reply, unsigned long *ret_len, int *ret_fd);

/* The same with a payload, and no descriptor back. */
int control_ask(int fd, enum control_msg msg, const void *payload, unsigned long len, unsigned char *reply,
                unsigned long *ret_len);

#endif
