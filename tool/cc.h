/* cc.h: what the rooms of `sancai cc` share. */
#ifndef CC_H
#define CC_H

#include "tool.h"

struct words {
    const char **at;
    size_t n, room;
};

struct cc {
    const char *clang, *plugin;
    struct words clangs;   /* words for clang, sources among them */
    bool *is_source;       /* of each of these */
    size_t nsources;
    bool check, json, debug, zero, no_code, no_link, call, nobarrier, whole;
    bool later;            /* what is found out now is not the last word */
    int m, report;         /* the file in memory, or 0 */
};

/* ---- cc.c -------------------------------------------------------------- */

void word_add(struct words *, const char *word);
char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What the pass needs; without the pass itself, to keep clang's first code. */
void cc_add_ours(const struct cc *, struct words *);
void cc_add_pass(const struct cc *, struct words *);
/* The runtime, behind all that the program itself is made of.  False: it is
 * missing. */
bool cc_add_runtime(const struct cc *, struct words *);
/* Tells the pass what to do. */
void cc_options_export(const struct cc *);
/* Runs a command; standard output goes to the file `to`, if not NULL.  Its
 * exit status; a shell's numbers if it could not run. */
int cc_run(const struct words *, const char *to);
bool cc_in_path(const char *name);
/* The report so far to standard output; how many of its lines dangle. */
size_t cc_report_show(struct cc *);

/* ---- objects.c: files that are linked ---------------------------------- */

struct bytes {
    char *at;
    size_t n;
};
bool object_is(const char *word);
/* Was a file compiled without us?  Says so, if `say`. */
bool object_lacks_mark(const char *file, bool say);
/* A file, or the member m of an archive a as linkers write it: "(a)m", "a(m)".
 * free() its `at`. */
bool object_read(const char *input, struct bytes *);
bool object_section(const struct bytes *object, const char *name,
                    struct bytes *part);

/* ---- whole.c: -fsancai=whole ------------------------------------------- */

int whole_link(struct cc *);
/* Analyses all sources as one program; 0 or a compiler's exit status. */
int whole_check(struct cc *);

#endif
