#include "server/master/mind.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "server/core/error.h"
#include "server/master/tls_mind.h"
#include "server/master/impl.h"
#include "server/master/log.h"

enum { HOUR_MS = 3600 * 1000, HOURS_A_DAY = 24, WHY_CAP = 2400 };

static void mind_key_file(const char *dir, const char *name, mind_fn *fn, void *arg)
{
    char path[1100], text[1400];
    struct stat st;

    snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : dir, name[0] == '/' ? "" : "/", name);
    if (stat(path, &st) != 0 || !(st.st_mode & 077))
        return;
    snprintf(text, sizeof(text),
             "the TLS key %s is open to %s (mode %03o): chmod 600, and think about who may have read it", path,
             st.st_mode & 07 ? "every user of this machine" : "its group", (unsigned)st.st_mode & 0777);
    fn(arg, !(st.st_mode & 07), text);
}

/* Another user's processes could signal such a role, and read what it writes. */
static void mind_uids(const struct config *c, mind_fn *fn, void *arg)
{
    char text[300];

    for (int r = ROLE_MASTER + 1; r < ROLES; r++) {
        uint64_t uid, gid;
        const struct passwd *who;
        spawn_ids(c, (enum role)r, &uid, &gid);
        who = uid ? getpwuid((uid_t)uid) : NULL;
        if (!who || strncmp(who->pw_name, "letterlock", strlen("letterlock")) == 0)
            continue;
        snprintf(text, sizeof(text),
                 "the role %s runs under uid %u, which is %s's too: set role_uid_base to where nobody is",
                 role_name((enum role)r), (unsigned)uid, who->pw_name);
        fn(arg, false, text);
    }
}

static void mind_names(const struct files *f, mind_fn *fn, void *arg)
{
    if (f->config.debug_names)
        fn(arg, false, "debug_names is set: the log names people");
}

/* ---- certificates by name ---- */

enum { MIND_NAMES_MAX = 6 }; /* sentences; the rest is counted */

struct name_minds {
    mind_fn *fn;
    void *arg;
    unsigned said, unsaid;
};

/* What may be meant so is not said of each. */
static void mind_by_name(void *arg, bool hint, const char *sentence)
{
    struct name_minds *m = arg;

    if (hint)
        return;
    if (m->said == MIND_NAMES_MAX) {
        m->unsaid++;
        return;
    }
    m->said++;
    m->fn(m->arg, false, sentence);
}

/* Lines of now that were not there before ("": none were). */
static void mind_faults(const char *now, const char *before, struct name_minds *m)
{
    char line[1024];

    for (const char *s = now; *s; s += strcspn(s, "\n"), s += *s == '\n') {
        snprintf(line, sizeof(line), "%.*s", (int)strcspn(s, "\n"), s);
        if (!strstr(before, line))
            mind_by_name(m, false, line);
    }
}

static void mind_names_served(const char *dir, const struct files *f, mind_fn *fn, void *arg)
{
    struct name_minds m = {fn, arg, 0, 0};
    time_t now = time(NULL);
    char text[300];

    mind_faults(f->cert_faults, "", &m);
    for (size_t i = 1; i < certs_pairs(f->certs); i++) {
        const struct cert_pair p = certs_pair(f->certs, i);
        tls_mind_by_name(p.chain.data, p.chain.len, p.name, now, mind_by_name, &m);
        snprintf(text, sizeof(text), "tls/%s.key.pem", p.name);
        mind_key_file(dir, text, mind_by_name, &m);
    }
    if (m.unsaid) {
        snprintf(text, sizeof(text), "%u more of the kind are not named here: letterlock status has all certificates",
                 m.unsaid);
        fn(arg, false, text);
    }
}

void mind_files(const char *dir, const struct files *f, mind_fn *fn, void *arg)
{
    const struct cert_pair own = certs_pair(f->certs, 0);

    mind_names(f, fn, arg);
    mind_uids(&f->config, fn, arg);
    tls_mind(own.chain.data, own.chain.len, f->config.domain, time(NULL), fn, arg);
    mind_key_file(dir, f->config.tls_key, fn, arg);
    mind_names_served(dir, f, fn, arg);
}

void mind_dir(const char *dir, mind_fn *fn, void *arg)
{
    char why[WHY_CAP], text[WHY_CAP + 32];
    struct files f;

    if (files_load(dir, NULL, &f, why, sizeof(why)) != OK) {
        snprintf(text, sizeof(text), "serve would be refused: %s", why);
        fn(arg, false, text);
        return;
    }
    mind_files(dir, &f, fn, arg);
    files_free(&f);
}

static bool same_chain(struct cert_pair a, struct cert_pair b)
{
    return strcmp(a.name, b.name) == 0 && a.chain.len == b.chain.len &&
           memcmp(a.chain.data, b.chain.data, a.chain.len) == 0;
}

static void mind_chains(const struct files *served, const struct files *now, mind_fn *fn, void *arg)
{
    const size_t n = certs_pairs(now->certs), before = certs_pairs(served->certs);
    struct name_minds m = {fn, arg, 0, 0};
    bool same = n == before;

    if (!same_chain(certs_pair(now->certs, 0), certs_pair(served->certs, 0)))
        fn(arg, false, "tls_chain's file is another than the one that is served: letterlock reload takes it over");
    for (size_t i = 1; i < n && same; i++) /* both are in the order of their names */
        same = same_chain(certs_pair(now->certs, i), certs_pair(served->certs, i));
    if (!same)
        fn(arg, false,
           "there are other certificates in tls/ than those that are served: letterlock reload takes them "
           "over");
    mind_faults(now->cert_faults, served->cert_faults, &m);
}

/* What stands in the files beside what the server runs with. */
static void mind_changes(const struct master *m, mind_fn *fn, void *arg)
{
    char why[WHY_CAP], text[WHY_CAP + 64], late[512];
    struct config taken = m->files.config;
    struct files f;

    if (files_load(m->dir, m->files.certs, &f, why, sizeof(why)) != OK) {
        snprintf(text, sizeof(text), "a reload, or the next start, would be refused: %s", why);
        fn(arg, false, text);
        return;
    }
    config_reload(&taken, &f.config, late, sizeof(late));
    if (late[0]) {
        snprintf(text, sizeof(text), "changed in letterlock.conf, and counts from the next start: %s", late);
        fn(arg, false, text);
    }
    config_differences(&taken, &m->files.config, late, sizeof(late));
    if (late[0]) {
        snprintf(text, sizeof(text), "changed in letterlock.conf, and letterlock reload takes it over: %s", late);
        fn(arg, false, text);
    }
    mind_chains(&m->files, &f, fn, arg);
    files_free(&f);
}

void mind_all(struct master *m, mind_fn *fn, void *arg)
{
    store_mind(m, fn, arg);
    mind_files(m->dir, &m->files, fn, arg);
    mind_changes(m, fn, arg);
}

static void to_log(void *arg, bool hint, const char *sentence)
{
    (void)arg;
    if (!hint)
        log_warn("%s", sentence);
}

/* A window for debugging is easily forgotten: that is said every hour, the rest once a day. */
static void on_hour(void *arg)
{
    struct master *m = arg;

    if (++m->mind_hours % HOURS_A_DAY == 0)
        mind_all(m, to_log, NULL);
    else
        mind_names(&m->files, to_log, NULL);
    timer_set(m->mind_timer, HOUR_MS);
}

int mind_start(struct master *m)
{
    m->mind_timer = timer_create_in(m->loop, on_hour, m);
    if (!m->mind_timer)
        return ERR_MEMORY;
    mind_files(m->dir, &m->files, to_log, NULL);
    timer_set(m->mind_timer, HOUR_MS);
    return OK;
}

void mind_end(struct master *m)
{
    timer_destroy(m->mind_timer);
    m->mind_timer = NULL;
}
