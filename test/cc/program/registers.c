/* modes: gctrace=0 gcstress=20 gcstress=20,gccheckmark=1 gcstoptheworld=1 */
/* Many numbers are in registers around each store of a pointer, and stores
 * that the collector watches must not change one of them. */
#include <stdio.h>
#include <stdlib.h>
typedef double four __attribute__((vector_size(32)));
struct node { struct node *next, *other; double d[2]; };
static struct node *top, *kept;

static int round_of(long n)
{
    four v = {1, 2, 3, 4}, w = {5, 6, 7, 8}, x = v + w, y = v * w;
    double a = 1, b = 2, c = 3, d = 4;
    long i, j = 3, k = 5, l = 7, m = 11, o = 13;
    for (i = 0; i < n; i++) {
        struct node *f = top;
        top->other = kept;
        top = top->next ? top->next : kept;
        kept = f;
        v += w; w -= v; x += v; y -= x;
        a += 1; b -= a; c += b; d -= c;
        v *= 0.5; w *= 0.5; x *= 0.5; y *= 0.5;
        b *= 0.5; c *= 0.5; d *= 0.5;
        j ^= k << 1; k += l; l ^= m >> 1; m += o; o ^= j;
    }
    four s = v + w + x + y;
    double sum = s[0] + s[1] * 2 + s[2] * 3 + s[3] * 5 + a + b + c + d;
    return (int)(sum * 1000) ^ (int)(j + k + l + m + o);
}

int main(void)
{
    int want = 0, bad = 0;
    for (int i = 0; i < 50; i++) {
        struct node *n = malloc(sizeof *n);
        n->next = top;
        top = n;
    }
    kept = top;
    for (int i = 0; i < 3000; i++) {
        int got = round_of(1000);
        want = i ? want : got;
        bad += got != want;
        for (int k = 0; k < 30; k++) {
            struct node *n = malloc(sizeof *n);
            n->next = k % 10 ? top : NULL;
            top = n;
        }
    }
    printf("%d\n", bad);
    return 0;
}
