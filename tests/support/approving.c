#include "tests/support/approving.h"

#include <sys/wait.h>
#include <unistd.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/format/parcel.h"
#include "store/approve.h"
#include "store/client.h"

static int approve_with(struct view *v, const uint8_t root[32], struct vault_request *q, int fd)
{
    struct parcel p = {.map = NULL};
    bool has_cert = fd >= 0 && approve_wanted(q->type) && parcel_open_plain(fd, PGP_CERT_MAX, &p) == OK;
    size_t len = q->type == VAULT_KEY_ADD && q->key.cert_len < p.map_len ? q->key.cert_len : p.map_len;
    int err = approve(v, root, q, has_cert ? slice_of(p.map, len) : slice_of("", 0)); /* a notice stands behind it */
    if (has_cert)
        parcel_close(&p);
    return err;
}

void approving(struct engine *e, const struct record_keys *k, const uint8_t root[32], struct vault_request *q,
               struct slice cert)
{
    struct view *v;
    bug_if(view_over(e, k, &v) != OK);
    (void)approve(v, root, q, cert);
    view_close(v);
}

void approving_fd(struct engine *e, const struct record_keys *k, const uint8_t root[32], struct vault_request *q,
                  int fd)
{
    struct view *v;
    bug_if(view_over(e, k, &v) != OK);
    (void)approve_with(v, root, q, fd);
    view_close(v);
}

struct answer {
    int err;
    uint64_t account;
    struct vault_approval approval;
};

/* Memory for keys does not come along into processes that the test forks later: it had better have had none. */
static _Noreturn void approve_in_child(const char *store, const uint8_t root[32], const struct vault_request *asked,
                                       int fd, int out)
{
    struct vault_request q = *asked;
    struct record_keys *keys = record_keys_of_root(root);
    struct engine *e;
    struct view *v;
    bug_if(keys == NULL || engine_lmdb_reader(store, 60000, &e) != OK || view_over(e, keys, &v) != OK);
    struct answer a = {.err = approve_with(v, root, &q, fd)};
    a.account = q.account;
    a.approval = q.approval;
    _exit(write(out, &a, sizeof(a)) == (ssize_t)sizeof(a) ? 0 : 1);
}

int approved_call(const char *store, const uint8_t root[32], int vault, const struct vault_request *q, int fd,
                  struct vault_reply *ret, char text[256])
{
    struct vault_request copy = *q;
    struct answer a;
    int ends[2], status;
    bug_if(pipe(ends) != 0);
    pid_t pid = fork();
    bug_if(pid < 0);
    if (pid == 0)
        approve_in_child(store, root, q, fd, ends[1]);
    close(ends[1]);
    bug_if(read(ends[0], &a, sizeof(a)) != (ssize_t)sizeof(a) || waitpid(pid, &status, 0) != pid);
    close(ends[0]);
    copy.account = a.account;
    copy.approval = a.approval;
    return a.err == OK ? vault_call(vault, &copy, fd, ret, text) : a.err;
}

void approving_new(struct engine *e, const struct record_keys *k, const uint8_t root[32], struct account_new *a)
{
    struct vault_request q = {.type = VAULT_ACCOUNT_ADD,
                              .new = {.address = slice_str(a->address), .verdict = a->verdict}};
    approving(e, k, root, &q, a->cert);
    a->expected = q.account;
    a->approval = q.approval;
}

struct vault_approval approval_of(struct engine *e, const struct record_keys *k, const uint8_t root[32],
                                  struct vault_request q, struct slice cert)
{
    approving(e, k, root, &q, cert);
    return q.approval;
}
