/* malloc and its kin; what the C library allocated; free twice is told. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void)
{
    char *line = malloc(2), *copy = strndup("abcdef", 3), *made;
    size_t n = 2;
    void *p;
    long *v = NULL, s = 0;
    FILE *f = tmpfile();
    for (int i = 0; i < 5000; i++) {
        v = realloc(v, (i + 1) * sizeof *v);
        v[i] = i;
        s += v[i / 2];
    }
    fputs("first line\nsecond\n", f);
    rewind(f);
    if (getline(&line, &n, f) != 11 || strcmp(line, "first line\n"))
        puts("getline");
    if (getline(&line, &n, f) != 7 || strcmp(line, "second\n"))
        puts("getline again");
    line = realloc(line, 100000);
    if (strcmp(line, "second\n"))
        puts("realloc of theirs");
    free(line);
    if (asprintf(&made, "%d", 42) != 2 || strcmp(made, "42"))
        puts("asprintf");
    free(made);
    if (posix_memalign(&p, 256, 100) || (uintptr_t)p % 256)
        puts("posix_memalign");
    if (posix_memalign(&p, 3, 100) != EINVAL)
        puts("posix_memalign of 3");
    if ((uintptr_t)aligned_alloc(64, 64) % 64)
        puts("aligned_alloc");
    char *wide = aligned_alloc(64, 64);
    for (int i = 0; i < 64; i++)
        wide[i] = (char)i;
    for (size_t room = 128; room <= 1 << 16; room *= 2) {
        wide = realloc(wide, room);
        for (int i = 0; i < 64; i++)
            if (wide[i] != i)
                puts("realloc of aligned_alloc");
    }
    free(wide);
    errno = 7;
    free(aligned_alloc(256, 10));
    if (errno != 7)
        puts("free and errno");
    if (calloc(SIZE_MAX / 2, 3) || errno != ENOMEM)
        puts("calloc");
    if (malloc_usable_size(v) < 5000 * sizeof *v)
        puts("malloc_usable_size");
    free(NULL);
    putenv(strcpy(malloc(20), "SC_CC_TEST=yes"));
    for (int i = 0; i < 100000; i++)
        memset(malloc(100), 'x', 100);
    _Alignas(64) char room[64];
    printf("%s %ld %s %d\n", copy, s, getenv("SC_CC_TEST"),
           (int)((uintptr_t)room % 64));
    return 0;
}
