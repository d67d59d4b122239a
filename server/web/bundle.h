/* The files that the server has for browsers, in the program itself: made by server/web/make-bundle at build time, so
 * they are there before the sandbox, mapped read-only, and there is no file to be found or to be changed. */
#ifndef WEB_BUNDLE_H
#define WEB_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bundle_coding { BUNDLE_PLAIN, BUNDLE_GZIP, BUNDLE_BR, BUNDLE_CODINGS };

struct bundle_file {
    const char *path, *type;
    bool immutable; /* its name has its content's hash */
    struct {
        size_t at, len; /* of bundle_data; len 0: it is not had so */
        const char *etag;
    } as[BUNDLE_CODINGS];
};

extern const struct bundle_file bundle_files[];
extern const size_t bundle_files_n;
extern const uint8_t bundle_data[];

#endif
