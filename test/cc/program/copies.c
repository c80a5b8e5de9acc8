/* Structs with pointers: assigned, copied, moved, cleared, returned. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct big { char *name[10]; int n; };
struct box { struct big *big; struct box *next; };
static struct big make(int n)
{
    struct big b = {.n = n};
    for (int i = 0; i < 10; i++) {
        b.name[i] = malloc(16);
        sprintf(b.name[i], "%d.%d", n, i);
    }
    return b;
}
static struct box both[2];
int main(void)
{
    struct big *v = malloc(50 * sizeof *v);
    long bad = 0;
    for (int i = 0; i < 50; i++)
        v[i] = make(i);
    for (int i = 0; i < 3000; i++) {
        int a = i * 7 % 50, b = i * 11 % 50;
        struct big t = v[a];
        v[a] = v[b];
        v[b] = t;
        if (i % 100 == 0) {
            memmove(v + 1, v, 49 * sizeof *v);
            v[0] = make(1000 + i);
        }
        if (i % 70 == 0) {
            memset(&v[a], 0, sizeof *v);
            v[a] = make(i);
        }
        both[i % 2] = (struct box){&v[a], &both[(i + 1) % 2]};
    }
    for (int i = 0; i < 50; i++)
        for (int k = 0; k < 10; k++) {
            char text[20];
            sprintf(text, "%d.%d", v[i].n, k);
            bad += strcmp(text, v[i].name[k]) != 0;
        }
    printf("%ld %d\n", bad, both[0].next == &both[1]);
    return 0;
}
