/* Signatures with any tags, also such as nobody should make, by the Ed25519 key of RFC 8463 appendix A.2. */
#ifndef TESTS_DKIM_FORGE_H
#define TESTS_DKIM_FORGE_H

#include "server/core/buf.h"
#include "server/mailauth/dkim_field.h"

/* Its record. */
#define FORGE_RECORD "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
/* What most tests begin with; h= and c= are to be added. */
#define FORGE_TAGS "v=1; a=ed25519-sha256; d=football.example.com; s=brisbane; bh=@; "
#define FORGE_NAME "brisbane._domainkey.football.example.com"

/* Puts in front of mail a field "NAME: TAGS; b=..." over mail as it is. "@" in tags: the hash of the body, as far as c=
 * and l= say. */
void forge_sign(struct buf *mail, const char *name, const char *tags);
/* The next ARC set, number i. tags: of its message signature, behind "i="; NULL: usual ones. */
void forge_set(struct buf *mail, unsigned i, const char *cv, const char *tags);

#endif
