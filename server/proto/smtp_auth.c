/* AUTH (RFC 4954): the exchange of lines. What they mean is the caller's: a mechanism is a name here. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/proto/sasl.h"
#include "server/proto/smtp_engine.h"

void smtp_auth_end(struct smtp *s)
{
    if (s->response)
        explicit_bzero(s->response, SMTP_COMMAND_MAX);
    free(s->response);
    s->response = NULL;
}

/* The name as it stands in the list: "LOGIN" of "PLAIN LOGIN". */
static bool find_mechanism(const char *list, const uint8_t *name, size_t len, char out[SMTP_MECHANISM_MAX + 1])
{
    while (*list) {
        size_t n = strcspn(list, " ");
        if (n == len && n <= SMTP_MECHANISM_MAX && strncasecmp(list, (const char *)name, n) == 0) {
            memcpy(out, list, n);
            out[n] = '\0';
            return true;
        }
        list += n;
        list += strspn(list, " ");
    }
    return false;
}

static void refuse(struct smtp *s, int code, const char *enhanced, const char *text)
{
    smtp_auth_end(s);
    smtp_put(s, code, enhanced, text);
}

/* data NULL: the client has said nothing yet. */
static void hand_out(struct smtp *s, const uint8_t *data, size_t len, struct smtp_event *ret)
{
    s->pending = ret->type = SMTP_AUTH;
    ret->mechanism = s->mechanism;
    ret->response = (struct slice){data, len};
}

static void hand_out_base64(struct smtp *s, const uint8_t *text, size_t len, struct smtp_event *ret)
{
    long n = sasl_base64_decode(slice_of(text, len), s->response, SMTP_COMMAND_MAX);

    if (n < 0)
        refuse(s, 501, "5.5.2", "Not base64"); /* section 4 */
    else
        hand_out(s, s->response, (size_t)n, ret);
}

void smtp_auth_begin(struct smtp *s, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    const struct smtp_submission *sub = &s->p.submission;
    const uint8_t *blank = memchr(arg, ' ', len);
    size_t n = blank ? (size_t)(blank - arg) : len, at = n;

    while (at < len && arg[at] == ' ')
        at++;
    if (!sub->mechanisms)
        smtp_put(s, 502, "5.5.1", "AUTH is not offered");
    else if (s->env.authenticated)
        smtp_put(s, 503, "5.5.1", "You have logged in already"); /* section 4 */
    else if (!smtp_mechanisms(s))
        smtp_put(s, 538, "5.7.11", "Only under TLS"); /* section 6 */
    else if (!find_mechanism(smtp_mechanisms(s), arg, n, s->mechanism))
        smtp_put(s, 504, "5.5.4", "No such mechanism"); /* section 4 */
    else if (!(s->response = malloc(SMTP_COMMAND_MAX)))
        smtp_put(s, 454, "4.7.0", "Try again later"); /* section 6 */
    else if (at == len)
        hand_out(s, NULL, 0, ret);
    else if (len - at == 1 && arg[at] == '=') /* section 4: an empty initial response */
        hand_out(s, s->response, 0, ret);
    else
        hand_out_base64(s, arg + at, len - at, ret);
    ret->begins = true;
}

void smtp_auth_line(struct smtp *s, int line_err, struct slice line, struct smtp_event *ret)
{
    s->mode = MODE_COMMAND;
    if (line_err == ERR_LIMIT)
        refuse(s, 500, "5.5.6", "Line too long"); /* section 4 */
    else if (line_err != OK)
        refuse(s, 500, "5.5.2", "CR or LF by itself; lines end in CRLF");
    else if (line.len == 1 && line.data[0] == '*')
        refuse(s, 501, "5.7.0", "Cancelled"); /* section 4 */
    else
        hand_out_base64(s, line.data, line.len, ret);
}

void smtp_challenge(struct smtp *s, struct slice data)
{
    char text[(SMTP_CHALLENGE_MAX + 2) / 3 * 4 + 1];

    if (s->pending != SMTP_AUTH) /* smtp_close came first */
        return;
    s->pending = SMTP_NEED_INPUT;
    sasl_base64_encode(slice_of(data.data, data.len < SMTP_CHALLENGE_MAX ? data.len : SMTP_CHALLENGE_MAX), text);
    s->mode = MODE_AUTH;
    smtp_put_line(s, 334, NULL, text); /* the blank stands also before an empty one */
}
