#include "server/master/certificates.h"

#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/master/impl.h"
#include "server/master/tls_mind.h"

enum { OTHERS_CAP = CERTS_NAMES_BYTES_MAX };

/* ---- which are served ---- */

/* The default is called by the server's name. */
static void facts(const struct files *f, size_t pair, certificate_fn *fn, void *arg)
{
    static char others[OTHERS_CAP];
    const struct cert_pair p = certs_pair(f->certs, pair);
    const char *own = pair ? p.name : f->config.domain, *name;
    size_t len = 0;

    others[0] = '\0';
    for (size_t k = 0; (name = certs_name(f->certs, pair, k)); k++)
        if (strcmp(name, own) != 0)
            len += (size_t)snprintf(others + len, sizeof(others) - len, "%s%s", len ? " " : "", name);
    fn(arg, own, others, (uint64_t)tls_mind_end(p.chain.data, p.chain.len));
}

static void pack_facts(void *arg, const char *name, const char *others, uint64_t ends)
{
    struct pack *out = arg;

    pack_str(out, name);
    pack_str(out, others);
    pack_u64(out, ends);
}

int certificates_list(const struct master *m, struct slice asked, struct pack *out)
{
    struct pack count;
    struct unpack u;
    size_t from, n = 0, len, all = certs_pairs(m->files.certs);

    unpack_init(&u, asked.data, asked.len);
    from = unpack_u32(&u);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    pack_u32(out, 0);
    count = *out;
    pack_u32(out, 0);
    for (len = out->len; from + n < all; n++, len = out->len) {
        facts(&m->files, from + n, pack_facts, out);
        if (out->failed)
            break;
    }
    out->len = len;
    out->failed = 0;
    pack_u32(&count, (uint32_t)n);
    return OK;
}

void certificates_of_dir(const char *dir, certificate_fn *fn, void *arg)
{
    char why[1500];
    struct files f;

    if (files_load(dir, NULL, &f, why, sizeof(why)) != OK)
        return; /* mind_dir says why */
    for (size_t i = 0; i < certs_pairs(f.certs); i++)
        facts(&f, i, fn, arg);
    files_free(&f);
}

/* ---- challenges ---- */

static bool answers(const struct proc *p)
{
    return p->row->traits & ROLE_ANSWERS_ACME;
}

static bool somebody_answers(const struct master *m)
{
    for (size_t i = 0; i < m->nprocs; i++)
        if (answers(&m->procs[i]))
            return true;
    return false;
}

static void tell(struct master *m)
{
    static uint8_t out[IPC_MAX];
    size_t len;
    int err = spawn_pack_challenges(&m->challenges, out, &len);

    for (size_t i = 0; err == OK && i < m->nprocs; i++) {
        struct proc *p = &m->procs[i];
        if (p->channel && answers(p) && ipc_send(p->channel, ROLE_MSG_CHALLENGES, 0, out, len, NULL, 0) != OK)
            log_error("%s %u did not get what an ACME server is answered", p->row->name, p->instance);
    }
}

static void on_over(void *arg)
{
    struct master *m = arg;
    uint64_t now = loop_now_ms(m->loop), next = challenges_expire(&m->challenges, now);

    timer_set(m->challenge_timer, next ? next - now + 1 : 0);
    tell(m);
}

int certificates_challenge(struct master *m, struct slice asked, int *ret_status)
{
    static struct challenge c;
    struct unpack u;
    uint8_t begins;

    unpack_init(&u, asked.data, asked.len);
    begins = unpack_u8(&u);
    unpack_str(&u, c.name, sizeof(c.name));
    unpack_str(&u, c.token, sizeof(c.token));
    unpack_str(&u, c.text, sizeof(c.text));
    if (!unpack_done(&u) || begins > 1)
        return ERR_FORMAT;
    if (!m->challenge_timer && !(m->challenge_timer = timer_create_in(m->loop, on_over, m)))
        return ERR_MEMORY;
    if (!somebody_answers(m)) {
        *ret_status = ERR_UNSUPPORTED;
        return OK;
    }
    challenges_expire(&m->challenges, loop_now_ms(m->loop));
    *ret_status = begins ? challenges_put(&m->challenges, c.name, c.token, c.text, loop_now_ms(m->loop) + CHALLENGE_MS)
                         : challenges_drop(&m->challenges, c.name, c.token);
    if (*ret_status == OK)
        on_over(m);
    return OK;
}

void certificates_end(struct master *m)
{
    timer_destroy(m->challenge_timer);
    m->challenge_timer = NULL;
}
