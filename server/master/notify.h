/* Telling the supervisor that started the server how it is (sd_notify(3)): a datagram to $NOTIFY_SOCKET. Without that
 * variable nothing is told. */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

void notify_open(void);         /* before the sandbox: afterwards no socket is reached */
void notify(const char *state); /* "READY=1", ...; lost where the supervisor does not read */
void notify_close(void);

#endif
