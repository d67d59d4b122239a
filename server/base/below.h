/* The names below a hosted domain under which this server has something for others by HTTPS. Each leads to it, and
 * needs a certificate. */
#ifndef BASE_BELOW_H
#define BASE_BELOW_H

#define BELOW_MTA_STS "mta-sts"           /* RFC 8461 section 3.3 */
#define BELOW_OPENPGPKEY "openpgpkey"     /* draft-koch-openpgp-webkey-service section 3.1 */
#define BELOW_AUTOCONFIG "autoconfig"     /* draft-ietf-mailmaint-autoconfig */
#define BELOW_AUTODISCOVER "autodiscover" /* [MS-OXDISCO] */
#define BELOW_PACC "ua-auto-config"       /* draft-ietf-mailmaint-pacc */

enum { BELOW_N = 5 };
static const char *const below_labels[BELOW_N] = {BELOW_MTA_STS, BELOW_OPENPGPKEY, BELOW_AUTOCONFIG, BELOW_AUTODISCOVER,
                                                  BELOW_PACC};

#endif
