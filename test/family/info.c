/* info.c: who answers for which name, and the functions that tell and tune.
 *
 * If some of the family came from one library and some from another, a block of
 * one would be freed by the other.
 */
#define _GNU_SOURCE
#include "case.h"

#include <dirent.h>
#include <wchar.h>

static const char *home_of(const char *name)
{
    Dl_info i;
    void *f = dlsym(RTLD_DEFAULT, name);
    return f && dladdr(f, &i) ? i.dli_fname : NULL;
}

/* One library has all that give and take blocks. */
CASE(one_library_has_the_whole_family)
{
    static const char *const all[] = {
        "free", "calloc", "realloc", "memalign", "aligned_alloc",
        "posix_memalign", "valloc", "pvalloc", "malloc_usable_size",
    };
    const char *home = home_of("malloc");
    EXPECT(home, "no malloc");
    for (size_t i = 0; i < COUNT(all); i++) {
        const char *h = home_of(all[i]);
        EXPECT(h && !strcmp(h, home), "%s: %s, not %s", all[i], h, home);
    }
}

CASE(one_library_has_what_tells_and_tunes)
{
    static const char *const all[] = {
        "reallocarray", "mallinfo", "mallinfo2", "mallopt", "malloc_trim",
        "malloc_stats", "malloc_info",
    };
    const char *home = home_of("malloc");
    for (size_t i = 0; i < COUNT(all); i++) {
        const char *h = home_of(all[i]);
        EXPECT(h && !strcmp(h, home), "%s: %s, not %s", all[i], h, home);
    }
}

CASE(what_glibc_lacks_is_there)
{
    static const char *const all[] = {"free_sized", "free_aligned_sized",
                                      "cfree"};
    if (!ours())
        SKIP("for our library");
    for (size_t i = 0; i < COUNT(all); i++)
        EXPECT(home_of(all[i]) && !strcmp(home_of(all[i]), home_of("malloc")),
               "%s: %s", all[i], home_of(all[i]));
}

/* Old programs call these, and free what they get. */
CASE(the_c_library_s_inner_names)
{
    void *(*get)(size_t) = (void *(*)(size_t))dlsym(RTLD_DEFAULT,
                                                    "__libc_malloc");
    void (*give)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "__libc_free");
    void *(*zero)(size_t, size_t) =
        (void *(*)(size_t, size_t))dlsym(RTLD_DEFAULT, "__libc_calloc");
    void *(*align)(size_t, size_t) =
        (void *(*)(size_t, size_t))dlsym(RTLD_DEFAULT, "__libc_memalign");
    if (!get || !give || !zero || !align)
        SKIP("no inner names");
    free(hide(get(100)));
    give(hide(malloc(100)));
    free(hide(zero(10, 10)));
    free(hide(align(64, 100)));
}

/* What the C library allocates for us is ours to free. */
CASE(the_c_library_s_own_blocks)
{
    char *line = NULL, *text = NULL, *p;
    size_t n = 0;
    FILE *f = tmpfile();
    EXPECT(f, "no file");
    for (int i = 0; i < 10000; i++)
        fputc('x', f);
    rewind(f);
    EXPECT(getline(&line, &n, f) == 10000, "getline");
    EXPECT(malloc_usable_size(line) >= 10001, "its block");
    fclose(f);
    free(realloc(line, 5));
    EXPECT(asprintf(&text, "%5000d", 7) == 5000, "asprintf");
    free(text);
    free(hide(strdup("hello")));
    free(hide(strndup("hello", 3)));
    free(hide(wcsdup(L"hello")));
    free(hide(realpath("/", NULL)));
    free(hide(getcwd(NULL, 0)));
    f = open_memstream(&p, &n);
    for (int i = 0; i < 100000; i++)
        fputs("line\n", f);
    fclose(f);
    EXPECT(n == 500000 && malloc_usable_size(p) >= n, "%zu", n);
    free(p);
    struct dirent **all;
    int many = scandir("/", &all, NULL, alphasort);
    while (many > 0)
        free(all[--many]);
    free(all);
    EXPECT(!setenv("SOME_NAME", "some text", 1), "setenv");
}

CASE(mallopt_is_answered)
{
    EXPECT(mallopt(M_MMAP_THRESHOLD, 256 << 10) == 1, "threshold");
    EXPECT(mallopt(M_TRIM_THRESHOLD, 1 << 20) == 1, "trim");
    EXPECT(mallopt(M_ARENA_MAX, 2) == 1, "arenas");
    EXPECT(mallopt(M_PERTURB, 0) == 1, "perturb");
}

static size_t in_use(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

CASE(mallinfo2_counts)
{
    static void *p[64];
    size_t before = in_use();
    for (size_t i = 0; i < COUNT(p); i++)
        p[i] = hide(malloc(KIB(i % 2 ? 30 : 300)));
    size_t full = in_use(), want = 32 * KIB(330);
    EXPECT(full >= before + want && full < before + want * 5 / 4,
           "%zu more, for %zu", full - before, want);
    for (size_t i = 0; i < COUNT(p); i++)
        free(p[i]);
    size_t after = in_use();
    EXPECT(after < before + want / 8, "%zu left", after - before);
}

CASE(malloc_info_is_xml)
{
    char *text = NULL;
    size_t n = 0;
    free(hide(malloc(100)));
    FILE *f = open_memstream(&text, &n);
    EXPECT(malloc_info(hide_size(0) != 0, f) == 0, "status");
    fclose(f);
    EXPECT(!strncmp(text, "<malloc version=", 16), "%.100s", text);
    EXPECT(strstr(text, "</malloc>\n"), "%.100s", text);
    int depth = 0;
    for (const char *s = text; (s = strchr(s, '<')); s++) {
        const char *e = strchr(s, '>');
        EXPECT(e, "an open tag");
        depth += s[1] == '/' ? -1 : e[-1] != '/';
        EXPECT(depth >= 0, "too many ends");
    }
    EXPECT(depth == 0, "%d without end", depth);
    free(text);
}

CASE(malloc_info_refuses_options)
{
    EXPECT(malloc_info(1, stdout) == EINVAL, "status");
}

CASE(malloc_trim_gives_back)
{
    enum { MANY = 64 << 10 };
    static void *p[MANY];
    for (size_t i = 0; i < MANY; i++)
        memset(p[i] = hide(malloc(KIB(1))), 1, KIB(1));
    size_t full = resident();
    void *last = hide(malloc(100));
    for (size_t i = 0; i < MANY; i++)
        free(p[i]);
    int any = malloc_trim(0);
    size_t after = resident();
    EXPECT(after + MIB(56) < full, "%zu KiB of %zu", after >> 10, full >> 10);
    EXPECT(any == 0 || any == 1, "%d", any);
    free(last);
    EXPECT(malloc_trim(KIB(64)) >= 0, "with a pad");
}

CASE(malloc_stats_prints)
{
    free(hide(malloc(10)));
    int pipes[2];
    char text[4096];
    EXPECT(!pipe(pipes), "no pipe");
    dup2(pipes[1], 2);
    malloc_stats();
    fflush(stderr);
    close(2);
    close(pipes[1]);
    if (read(pipes[0], text, sizeof text) < 40)
        _exit(1);
}
