/* Reading and checking what the roles need from files, at the start and at each reload. A file that does not pass
 * changes nothing. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/relay_policy.h"
#include "server/base/role.h"
#include "server/master/impl.h"

static const struct file_kind conf_file = {"the configuration",
                                           "make an instance with letterlock init, or name its folder with --dir"};

/* "" if there is none. */
static int read_policy(const char *dir, struct files *f, char *why, size_t why_cap)
{
    static const struct file_kind kind = {"the file", ""};
    struct relay_policy *p;
    char path[1100], sentence[200];
    int err;

    snprintf(path, sizeof(path), "%s/relay.policy", dir);
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        f->policy = sodium_malloc(1);
        return f->policy ? OK : ERR_MEMORY;
    }
    err = file_read(dir, &kind, "relay.policy", RELAY_POLICY_TEXT_MAX, &f->policy, &f->policy_len, why, why_cap);
    if (err != OK)
        return err;
    err = relay_policy_parse(f->policy, f->policy_len, &p, sentence, sizeof(sentence));
    if (err == OK)
        relay_policy_free(p);
    else
        snprintf(why, why_cap, "%s: %s", path, sentence);
    return err;
}

/* Its first line. */
static int read_password(const char *dir, struct files *f, char *why, size_t why_cap)
{
    static const struct file_kind kind = {"the smarthost's password", "put it there, or set smarthost_password_file"};
    size_t len = 0;
    int err = OK;

    if (f->config.smarthost_password_file[0])
        err = file_read(dir, &kind, f->config.smarthost_password_file, ROLE_PASSWORD_MAX - 1, &f->password, &len, why,
                        why_cap);
    else if (!(f->password = sodium_malloc(1)))
        err = ERR_MEMORY;
    if (err != OK)
        return err;
    f->password[len] = '\0';
    if (strlen(f->password) != len) {
        snprintf(why, why_cap, "the smarthost's password %s: it has a NUL", f->config.smarthost_password_file);
        return ERR_FORMAT;
    }
    f->password[strcspn(f->password, "\r\n")] = '\0';
    return OK;
}

int files_load(const char *dir, const struct certs *former, struct files *ret, char *why, size_t why_cap)
{
    struct files f = {.text = NULL};
    char sentence[256] = "";
    int err;

    if (sodium_init() < 0)
        return ERR_CRYPTO;
    err = file_read(dir, &conf_file, "letterlock.conf", CONFIG_TEXT_MAX, &f.text, &f.text_len, why, why_cap);
    if (err == OK && (err = config_parse(f.text, f.text_len, &f.config, sentence, sizeof(sentence))) != OK)
        snprintf(why, why_cap, "%s/letterlock.conf: %s", dir, sentence);
    if (err == OK)
        err = tls_files_read(dir, &f.config, former, &f.certs, &f.cert_faults, why, why_cap);
    if (err == OK)
        err = read_policy(dir, &f, why, why_cap);
    if (err == OK)
        err = read_password(dir, &f, why, why_cap);
    if (err != OK) {
        files_free(&f);
        return err;
    }
    *ret = f;
    return OK;
}

int files_use(struct files *f, const struct config *c, char *why, size_t why_cap)
{
    char *text = sodium_malloc(CONFIG_TEXT_MAX);
    long len = text ? config_write(c, text, CONFIG_TEXT_MAX) : ERR_MEMORY;

    if (len < 0) {
        snprintf(why, why_cap, "the configuration cannot be written for the roles: %s", err_str((int)len));
        sodium_free(text);
        files_free(f);
        return (int)len;
    }
    sodium_free(f->text);
    f->text = text;
    f->text_len = (size_t)len;
    f->config = *c;
    return OK;
}

void files_free(struct files *f)
{
    sodium_free(f->text);
    certs_unref(f->certs);
    free(f->cert_faults);
    sodium_free(f->policy);
    sodium_free(f->password);
    *f = (struct files){.text = NULL};
}
