/* Asking for the store key's passphrase: a file named by the environment, for units without a terminal, else the
 * terminal without echo. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/read_to_end.h"
#include "server/master/impl.h"

/* The first line. */
static int read_line(int fd, char *out, size_t cap)
{
    size_t len = 0;
    int err = read_to_end(fd, '\n', out, cap - 1, &len);

    if (err != OK)
        return err;
    out[len] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    return out[0] ? OK : ERR_NOT_FOUND;
}

int passphrase_ask(char *out, size_t cap)
{
    static const char prompt[] = "Passphrase of the store key: ";
    const char *file = getenv("LETTERLOCK_PASSPHRASE_FILE");
    int fd = open(file ? file : "/dev/tty", (file ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY), r;
    struct termios old, quiet;
    bool terminal;

    if (fd < 0)
        return ERR_UNSUPPORTED;
    terminal = !file && tcgetattr(fd, &old) == 0;
    if (terminal) {
        quiet = old;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(fd, TCSAFLUSH, &quiet);
        (void)!write(fd, prompt, sizeof(prompt) - 1);
    }
    r = read_line(fd, out, cap);
    if (terminal) {
        tcsetattr(fd, TCSAFLUSH, &old);
        (void)!write(fd, "\n", 1);
    }
    close(fd);
    return r;
}
