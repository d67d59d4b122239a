/* Between the files that use GMime. */
#ifndef MAIL_TEXT_IMPL_H
#define MAIL_TEXT_IMPL_H

#include <gmime/gmime.h>

GMimeParserOptions *text_options(void); /* GMime begins when first asked */

#endif
