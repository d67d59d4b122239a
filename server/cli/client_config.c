/* letterlock client-config: the settings of a mail client, to read out to somebody or to send to a device. */
#include <string.h>

#include "server/autoconfig/autoconfig.h"
#include "server/cli/cli.h"
#include "server/core/error.h"

static int find_form(const struct cli *c, enum autoconfig_form *ret)
{
    const char *name = c->opt[OPT_FORM] ? c->opt[OPT_FORM] : autoconfig_form_names[AUTOCONFIG_TEXT];
    for (int f = 0; f < AUTOCONFIG_FORMS; f++)
        if (!strcmp(autoconfig_form_names[f], name)) {
            *ret = (enum autoconfig_form)f;
            return EXIT_DONE;
        }
    return cli_usage(c, "--form is text, autoconfig, autodiscover, mobileconfig or pacc");
}

static int read_known(void *arg, struct view *v)
{
    return view_domain_known(v, arg);
}

int command_client_config(struct cli *c)
{
    struct instance i;
    char normal[ADDRESS_MAX], text[AUTOCONFIG_CAP];
    size_t at, plus;
    enum autoconfig_form form = AUTOCONFIG_TEXT;
    int rc = find_form(c, &form);
    if (rc)
        return rc;
    if (address_normalize(c->arg[0], strlen(c->arg[0]), normal, &at, &plus))
        return cli_fail(c, "%s is not an address", c->arg[0]);
    rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    struct autoconfig a = {.domain = normal + at + 1, .address = c->arg[0]};
    int err = view_run(i.view, read_known, normal + at + 1);
    if (err)
        rc = err == ERR_NOT_FOUND
                 ? cli_fail(c, "%s is not one of this server's domains; letterlock domain add adds it", a.domain)
                 : cli_fail(c, "the store cannot be read: %s", err_str(err));
    else {
        autoconfig_take(&a, &i.config);
        fwrite(text, 1, autoconfig_write(&a, form, text), stdout);
    }
    instance_close(&i);
    return rc;
}
