/* objects.c: object files and archives, as far as `sancai cc` looks at them.
 *
 *   f.o        ELF: sections by name
 *   lib.a      "!<arch>\n", then members: 60 bytes of header, contents
 *              names up to 15 bytes end in '/', longer ones are "/offset"
 *              into the member named "//"
 *
 * What is not as expected is no object of ours: nothing is found in it, and
 * the linker will say what it thinks of it.
 */
#include "cc.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include <sancai_cc.h>

static bool ends(const char *word, const char *with)
{
    size_t n = strlen(word), m = strlen(with);
    return n > m && strcmp(word + n - m, with) == 0;
}

bool object_is(const char *word)
{
    return word[0] != '-' && (ends(word, ".o") || ends(word, ".a")
                              || ends(word, ".lo"));
}

static bool file_read(const char *file, struct bytes *b)
{
    FILE *f = fopen(file, "re");
    size_t room = 0;
    *b = (struct bytes){0};
    if (!f)
        return false;
    while (!feof(f) && !ferror(f)) {
        if (b->n + 65536 > room)
            b->at = grow(b->at, room = 2 * room + 65537);
        b->n += fread(b->at + b->n, 1, room - b->n - 1, f);
    }
    fclose(f);
    b->at[b->n] = 0;
    return true;
}

/* ---- Archives ---------------------------------------------------------- */

static bool is_archive(const struct bytes *b)
{
    return b->n >= 8 && memcmp(b->at, "!<arch>\n", 8) == 0;
}

struct member {
    const char *header; /* 60 bytes, the name first */
    struct bytes in;
};

/* The member whose header is at *offset, which then is the next one's. */
static bool member_next(const struct bytes *b, size_t *offset,
                        struct member *m)
{
    if (b->n < 60 || *offset > b->n - 60)
        return false;
    m->header = b->at + *offset;
    m->in.at = b->at + *offset + 60;
    m->in.n = strtoull(m->header + 48, NULL, 10);
    if (m->in.n > b->n - *offset - 60)
        return false;
    *offset += 60 + m->in.n + (m->in.n & 1);
    return true;
}

static bool member_is(const struct member *m, const char *name,
                      const struct bytes *names)
{
    const char *at = m->header;
    size_t n = strlen(name), room = 16;
    if (at[0] == '/' && at[1] >= '0' && at[1] <= '9') {
        size_t offset = strtoull(at + 1, NULL, 10);
        if (offset >= names->n)
            return false;
        at = names->at + offset;
        room = names->n - offset;
    }
    return n < room && memcmp(at, name, n) == 0 && at[n] == '/';
}

/* Only if there is one member of that name. */
static bool archive_find(const struct bytes *b, const char *name,
                         struct bytes *found)
{
    struct bytes names = {0};
    struct member m;
    size_t offset = 8, n = 0;
    while (member_next(b, &offset, &m)) {
        if (memcmp(m.header, "// ", 3) == 0)
            names = m.in;
        if (member_is(&m, name, &names) && ++n == 1)
            *found = m.in;
    }
    return n == 1;
}

/* ---- Marks ------------------------------------------------------------- */

static bool is_marked(const struct bytes *b)
{
    return b->n < 4 || memcmp(b->at, ELFMAG, 4) != 0
        || memmem(b->at, b->n, SC_CC_MARK, strlen(SC_CC_MARK));
}

/* All members of an archive, or the one object. */
static bool all_marked(const struct bytes *b)
{
    struct member m;
    size_t offset = 8;
    if (!is_archive(b))
        return is_marked(b);
    while (member_next(b, &offset, &m))
        if (!is_marked(&m.in))
            return false;
    return true;
}

bool object_lacks_mark(const char *file, bool say)
{
    struct bytes b;
    bool missing;
    if (!object_is(file) || !file_read(file, &b))
        return false;
    missing = !all_marked(&b);
    free(b.at);
    if (missing && say)
        complain("cc: %s was compiled without barriers: all threads of the "
                 "program will be held while the collector marks", file);
    return missing;
}

/* ---- Inputs of the linker ---------------------------------------------- */

/* "(archive)member" or "archive(member)" to its parts; false: neither. */
static bool input_split(const char *input, char **archive, char **member)
{
    const char *open = strrchr(input, '('), *shut = strrchr(input, ')');
    if (!open || !shut || shut < open)
        return false;
    *archive = open == input ? text("%.*s", (int)(shut - open - 1), open + 1)
                             : text("%.*s", (int)(open - input), input);
    *member = open == input ? text("%s", shut + 1)
                            : text("%.*s", (int)(shut - open - 1), open + 1);
    return true;
}

static bool member_read(const char *archive, const char *member,
                        struct bytes *b)
{
    struct bytes all, found;
    bool is;
    if (!file_read(archive, &all))
        return false;
    is = is_archive(&all) && archive_find(&all, member, &found);
    if (is) {
        memmove(all.at, found.at, found.n);
        *b = (struct bytes){all.at, found.n};
    } else {
        free(all.at);
    }
    return is;
}

bool object_read(const char *input, struct bytes *b)
{
    char *archive, *member;
    bool ok;
    if (!input_split(input, &archive, &member))
        return file_read(input, b);
    ok = member_read(archive, member, b);
    free(archive);
    free(member);
    return ok;
}

/* ---- Sections ---------------------------------------------------------- */

static bool holds(const struct bytes *b, uint64_t offset, uint64_t n)
{
    return offset <= b->n && n <= b->n - offset;
}

static bool section_at(const struct bytes *b, const Elf64_Ehdr *e, size_t i,
                       Elf64_Shdr *s)
{
    uint64_t at = e->e_shoff + i * sizeof *s;
    if (i >= e->e_shnum || e->e_shoff > b->n || !holds(b, at, sizeof *s))
        return false;
    memcpy(s, b->at + at, sizeof *s);
    return s->sh_type == SHT_NOBITS || holds(b, s->sh_offset, s->sh_size);
}

bool object_section(const struct bytes *b, const char *name,
                    struct bytes *part)
{
    Elf64_Ehdr e;
    Elf64_Shdr names, s;
    size_t n = strlen(name) + 1;
    if (b->n < sizeof e || memcmp(b->at, ELFMAG, 4) != 0
        || b->at[EI_CLASS] != ELFCLASS64)
        return false;
    memcpy(&e, b->at, sizeof e);
    if (e.e_shentsize != sizeof s || !section_at(b, &e, e.e_shstrndx, &names))
        return false;
    for (size_t i = 1; section_at(b, &e, i, &s); i++) {
        if (s.sh_name >= names.sh_size || n > names.sh_size - s.sh_name
            || memcmp(b->at + names.sh_offset + s.sh_name, name, n) != 0)
            continue;
        *part = (struct bytes){b->at + s.sh_offset, s.sh_size};
        return true;
    }
    return false;
}
