/* Logging to stderr, one line an event: level, role, event name, key=value pairs. Lines name no person: no address,
 * subject, peer address or message id (docs/design.md section 1), except through log_person, which prints only while
 * the operator has debugging on (config: debug_names = yes). */
#ifndef CORE_LOG_H
#define CORE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* The level called error, warn, info or debug. ERR_FORMAT. */
int log_level_parse(const char *word, enum log_level *ret);
/* Names the process in every line. names_allowed: log_person prints. */
void log_init(const char *role, enum log_level level, int names_allowed);
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* May carry names; silent unless names_allowed. */
void log_person(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A bug: prints file and line, aborts. Never reachable from input. */
#define bug_if(cond) ((cond) ? log_bug(__FILE__, __LINE__, #cond) : (void)0)
_Noreturn void log_bug(const char *file, int line, const char *what);

#endif
