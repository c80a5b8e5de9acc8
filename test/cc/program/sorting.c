/* qsort of pointers and of structs with pointers, in the heap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct item { char *name; long key; };
static int by_name(const void *a, const void *b)
{
    char *s = malloc(50); /* garbage within the callback */
    s[0] = 0;
    return strcmp(*(char *const *)a, *(char *const *)b) + s[0];
}
static int by_key(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    malloc(30);
    return x->key < y->key ? -1 : x->key > y->key;
}
int main(void)
{
    enum { N = 2000 };
    char **names = malloc(N * sizeof *names), text[20];
    struct item *items = malloc(N * sizeof *items);
    unsigned seed = 1, bad = 0;
    for (int i = 0; i < N; i++) {
        seed = seed * 1103515245 + 12345;
        sprintf(text, "%08u", seed % 100000000);
        names[i] = strdup(text);
        items[i] = (struct item){strdup(text), (long)seed};
    }
    qsort(names, N, sizeof *names, by_name);
    qsort(items, N, sizeof *items, by_key);
    for (int i = 1; i < N; i++) {
        bad += strcmp(names[i - 1], names[i]) > 0;
        bad += items[i - 1].key > items[i].key;
        bad += (long)atoi(items[i].name) != items[i].key % 100000000;
    }
    printf("%u\n", bad);
    return 0;
}
