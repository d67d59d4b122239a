/* letterlock acme run: which names need a certificate, and for each the key that is kept or exchanged. */
#include <errno.h>
#include <stdio.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/base/below.h"
#include "server/base/certs.h"
#include "server/cli/acme.h"
#include "server/core/error.h"
#include "server/doctor/chain.h"
#include "server/mail/date.h"
#include "server/master/offline.h"

struct name {
    char text[CERTS_NAME_MAX + 1];
    bool exchanged; /* its key, in this run */
};

struct names {
    struct name *v;
    size_t n;
    bool failed;
};

/* ---- which ---- */

/* Once each; what is no host name is left out. */
static void add_name(struct names *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->v[i].text, name))
            return;
    if (!certs_name_valid(name) || l->n == CERTS_PAIRS_MAX)
        return;
    void *larger = realloc(l->v, (l->n + 1) * sizeof(*l->v));
    l->failed |= !larger;
    if (larger) {
        l->v = larger;
        l->v[l->n] = (struct name){.exchanged = false};
        snprintf(l->v[l->n++].text, sizeof(l->v->text), "%s", name);
    }
}

static int add_domain(void *arg, const char *domain)
{
    char name[300];
    add_name(arg, domain);
    for (size_t i = 0; i < BELOW_N; i++) {
        snprintf(name, sizeof(name), "%s.%s", below_labels[i], domain);
        add_name(arg, name);
    }
    return 0;
}

static int add_domains(void *arg, struct view *v)
{
    return view_domains_each(v, add_domain, arg);
}

static int find_names(const struct cli *c, struct instance *i, struct names *l)
{
    for (size_t k = 0; k < c->nargs; k++) {
        char name[DOMAIN_CAP];
        if (address_domain_normalize(c->arg[k], strlen(c->arg[k]), name) || !certs_name_valid(name))
            return cli_fail(c, "%s is not a host name", c->arg[k]);
        add_name(l, name);
    }
    if (!c->nargs)
        add_name(l, i->config.domain);
    int err = c->nargs ? OK : view_run(i->view, add_domains, l);
    if (err || l->failed)
        return cli_fail(c, "the store cannot be read: %s", err_str(err ? err : ERR_MEMORY));
    return EXIT_DONE;
}

static int find_pair(const struct acme *a, const char *name, struct acme_pair *ret)
{
    const struct config *config = a->config;
    char file[300];
    *ret = (struct acme_pair){.own = !strcmp(name, config->domain)};
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    snprintf(file, sizeof(file), "tls/%s.chain.pem", name);
    cli_path(a->cli, ret->own ? config->tls_chain : file, ret->chain);
    snprintf(file, sizeof(file), "tls/%s.key.pem", name);
    cli_path(a->cli, ret->own ? config->tls_key : file, ret->key);
    snprintf(file, sizeof(file), "%s.next.pem", name);
    int err = cli_join(a->dir, file, ret->next);
    snprintf(file, sizeof(file), "%s.seen", name);
    if (!err)
        err = cli_join(a->dir, file, ret->seen);
    return err;
}

/* A third of its life: ACME servers ask for that (RFC 9773's default for Let's Encrypt's is the same). */
static bool is_due(const struct acme *a, const struct acme_pair *p, char day[DATE_DAY_SIZE])
{
    struct chain *c;
    if (chain_read(p->chain, &c))
        return true;
    bool due = !chain_named(c, p->name) || chain_is_late(c, (uint64_t)time(NULL));
    date_write_day(chain_ends(c), day);
    chain_free(c);
    return due || a->cli->opt[OPT_NOW] || a->cli->opt[OPT_EXCHANGE_KEY];
}

/* ---- the key ---- */

/* The key that is in use is kept: what names it in DNS goes on being right (TLSA 3 1 1). */
static int keep_key(const struct acme *a, const struct acme_pair *p, EVP_PKEY **ret)
{
    int err = acme_key_in_use(p, ret);
    if (err == ERR_NOT_FOUND)
        err = acme_key_make(p->key, ret);
    return err ? cli_fail(a->cli, "%s: the key %s: %s", p->name, p->key, cli_err_str(err)) : EXIT_DONE;
}

static int announce(const struct acme *a, const struct acme_pair *p, const uint8_t hash[32], uint32_t ttl)
{
    (void)unlink(p->seen); /* of a record that was there and went */
    printf("%s: publish this beside the record that is there, and run this command again:\n"
           "_25._tcp.%s. %u IN TLSA 3 1 1 ",
           p->name, p->name, ttl);
    for (int i = 0; i < 32; i++)
        printf("%02x", hash[i]);
    printf("\n");
    fflush(stdout);
    return cli_fail(a->cli, "%s: the next key waits until DNS names it; the former one is served", p->name);
}

/* Others may know the former answer for as long as it lasts: RFC 7671 section 8.1. */
static int wait_for_ttl(const struct acme *a, const struct acme_pair *p, uint32_t ttl)
{
    struct stat st;
    time_t now = time(NULL);
    if (stat(p->seen, &st)) {
        int err = errno == ENOENT ? cli_write_file(p->seen, "", 0, 0600) : ERR_IO;
        if (err || stat(p->seen, &st))
            return cli_fail(a->cli, "%s: %s", p->seen, strerror(errno));
    }
    if (now >= st.st_mtime + (time_t)ttl)
        return EXIT_DONE;
    return cli_fail(a->cli,
                    "%s: the record of the next key is there; others may know the answer without it for %lld s "
                    "more: run this command again then",
                    p->name, (long long)(st.st_mtime + (time_t)ttl - now));
}

/* Made, announced, and taken once DNS says so; where DNS names no key, at once. */
static int exchange_key(const struct acme *a, const struct acme_pair *p, EVP_PKEY **ret)
{
    struct doctor_tlsa tlsa;
    uint8_t hash[32];
    EVP_PKEY *key;
    int err = acme_key_read(p->next, &key), rc;
    if (err == ERR_NOT_FOUND)
        err = acme_key_make(p->next, &key);
    if (err)
        return cli_fail(a->cli, "%s: the key %s: %s", p->name, p->next, cli_err_str(err));
    err = acme_key_sha256(key, hash);
    if (!err)
        err = doctor_names_tlsa(a->names, p->name, hash, &tlsa);
    rc = err ? cli_fail(a->cli, "%s: whether DNS names the former key cannot be asked: %s", p->name, err_str(err))
         : !tlsa.any  ? EXIT_DONE
         : !tlsa.fits ? announce(a, p, hash, tlsa.ttl)
                      : wait_for_ttl(a, p, tlsa.ttl);
    if (rc)
        EVP_PKEY_free(key);
    else
        *ret = key;
    return rc;
}

/* ---- one name ---- */

/* Before the first file changes: whoever comes after a run that was cut short has them served. */
static int mark_late(const struct acme *a)
{
    int err = cli_write_file(a->late, "", 0, 0600);
    return err == ERR_EXISTS ? OK : err;
}

static int unplaced(const struct acme *a, const struct acme_pair *p, int err)
{
    return cli_fail(a->cli, "%s: the certificate cannot be put in its place: %s", p->name, cli_err_str(err));
}

static int renew(struct acme *a, const struct acme_pair *p, bool *ret_exchanged)
{
    const bool exchange = a->cli->opt[OPT_EXCHANGE_KEY] != NULL;
    char *chain, day[DATE_DAY_SIZE];
    EVP_PKEY *key;
    size_t len;
    int rc = exchange ? exchange_key(a, p, &key) : keep_key(a, p, &key);
    if (rc)
        return rc;
    rc = acme_order(a, p, key, &chain, &len);
    if (!rc) {
        int err = mark_late(a);
        if (!err)
            err = acme_install(p, chain, len, exchange ? key : NULL);
        free(chain);
        rc = err ? unplaced(a, p, err) : EXIT_DONE;
    }
    EVP_PKEY_free(key);
    if (rc)
        return rc;
    *ret_exchanged = exchange;
    struct chain *c;
    if (!chain_read(p->chain, &c)) {
        date_write_day(chain_ends(c), day);
        chain_free(c);
        printf("%s: a certificate until %s%s\n", p->name, day, exchange ? ", for the next key" : "");
    }
    return EXIT_DONE;
}

static int finish_exchange(const struct acme *a, const struct acme_pair *p, bool *ret_exchanged)
{
    int err = mark_late(a);
    if (!err)
        err = acme_finish(p);
    if (err)
        return unplaced(a, p, err);
    printf("%s: the exchange of its key, which was cut short, is done\n", p->name);
    *ret_exchanged = true;
    return EXIT_DONE;
}

/* Of what the operator named, and of the server's own name, it is said that it leads elsewhere. */
static int see_name(struct acme *a, const char *name, bool *ret_exchanged)
{
    struct acme_pair p;
    char day[DATE_DAY_SIZE] = "";
    if (find_pair(a, name, &p))
        return cli_fail(a->cli, "the path of %s is too long", a->dir);
    if (p.own && (a->config->tls_chain[0] == '/' || a->config->tls_key[0] == '/'))
        return cli_fail(a->cli, "%s: tls_chain or tls_key is outside of %s: who wrote them renews them", name,
                        a->cli->dir);
    if (acme_unfinished(&p))
        return finish_exchange(a, &p, ret_exchanged);
    if (!is_due(a, &p, day)) {
        printf("%s: good until %s\n", name, day);
        return EXIT_DONE;
    }
    if (!doctor_names_meet(a->names, name, a->config->domain)) {
        if (p.own || a->cli->nargs)
            return cli_fail(a->cli, "%s has no address%s that DNS tells, so its certificate cannot be got", name,
                            p.own ? "" : " of this server's");
        printf("%s: leads elsewhere, or nowhere: left out\n", name);
        return EXIT_DONE;
    }
    return renew(a, &p, ret_exchanged);
}

/* ---- all of them ---- */

/* A path within a word of the shell. */
static void quote(FILE *out, const char *s)
{
    fputc('\'', out);
    for (; *s; s++)
        fputs(*s == '\'' ? "'\\''" : (char[]){*s, '\0'}, out);
    fputc('\'', out);
}

/* uacme takes a program alone, without words before its own. */
static int write_hook(const struct acme *a)
{
    char own[CLI_PATH_MAX], *text = NULL;
    size_t len = 0;
    ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
    FILE *out = n > 0 ? open_memstream(&text, &len) : NULL;
    if (!out)
        return ERR_IO;
    own[n] = '\0';
    fprintf(out, "#!/bin/sh\nexec ");
    quote(out, own);
    fprintf(out, " acme hook --dir ");
    quote(out, a->cli->dir);
    fprintf(out, " -- \"$@\"\n"); /* a token may begin with "-" */
    fclose(out);
    unlink(a->hook);
    int err = cli_write_file(a->hook, text, len, 0700);
    free(text);
    return err;
}

static int prepare(struct acme *a, struct instance *i)
{
    char dir[CLI_DIR_MAX + 1];
    if (!i->running)
        return cli_fail(a->cli, "no server runs on %s, and the ACME server asks it: letterlock serve starts one",
                        a->cli->dir);
    if (cli_resolve(a->cli->dir, dir, sizeof(dir)) || cli_join(dir, "acme", a->dir) ||
        cli_join(a->dir, "hook", a->hook) || cli_join(a->dir, "late", a->late))
        return cli_fail(a->cli, "the path of %s is too long", a->cli->dir);
    if (mkdir(a->dir, 0700) && errno != EEXIST)
        return cli_fail(a->cli, "%s: %s", a->dir, strerror(errno));
    a->lock = open(a->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->lock < 0 || flock(a->lock, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? cli_fail(a->cli, "another letterlock acme run is at work on %s", a->cli->dir)
                                    : cli_fail(a->cli, "%s: %s", a->dir, strerror(errno));
    int err = write_hook(a);
    return err ? cli_fail(a->cli, "%s: %s", a->hook, cli_err_str(err)) : EXIT_DONE;
}

static int see_names(struct cli *c, struct instance *i, struct acme *a, struct names *l)
{
    struct offline_params p = instance_offline(c, i);
    struct offline *resolver;
    char why[256] = "";
    int channel, rc = EXIT_DONE;
    int err = offline_role(ROLE_RESOLVER, &p, &resolver, &channel, why, sizeof(why));
    if (err)
        return cli_fail(c, "DNS cannot be asked: %s", *why ? why : err_str(err));
    err = doctor_names_create(channel, &a->names);
    for (size_t k = 0; !err && k < l->n; k++)
        if (see_name(a, l->v[k].text, &l->v[k].exchanged))
            rc = EXIT_REFUSED; /* the others go on */
    if (err)
        rc = cli_fail(c, "%s", err_str(err));
    doctor_names_destroy(a->names);
    offline_stop(resolver);
    return rc;
}

/* What this run or one that was cut short has put there. Not before that is DNS right without the former key. */
static int have_it_served(struct cli *c, const struct acme *a, const struct names *l)
{
    if (access(a->late, F_OK))
        return EXIT_DONE;
    if (command_reload(c) != EXIT_DONE)
        return EXIT_REFUSED;
    (void)unlink(a->late); /* else it is read once more */
    for (size_t k = 0; k < l->n; k++)
        if (l->v[k].exchanged)
            printf("%s: its next key is served: what DNS says of the former one may go\n", l->v[k].text);
    return EXIT_DONE;
}

int command_acme_run(struct cli *c)
{
    struct instance i;
    struct names l = {.n = 0};
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    struct acme a = {.cli = c, .config = &i.config, .lock = -1};
    rc = prepare(&a, &i);
    bool prepared = rc == EXIT_DONE;
    if (prepared)
        rc = find_names(c, &i, &l);
    if (!rc)
        rc = see_names(c, &i, &a, &l);
    instance_close(&i);
    if (prepared && have_it_served(c, &a, &l) != EXIT_DONE)
        rc = EXIT_REFUSED;
    if (a.lock >= 0)
        close(a.lock);
    free(l.v);
    return rc;
}
