/* How long a test waits for what has to come. It goes on as soon as that is there, so only a test that fails waits so
 * long; a machine that is ten times slower passes. */
#ifndef TESTS_SUPPORT_PATIENCE_H
#define TESTS_SUPPORT_PATIENCE_H

enum { PATIENCE_MS = 120000 };

#endif
