/* Much garbage, some of it freed by hand; what lives must stay whole. */
#include <stdio.h>
#include <stdlib.h>
struct tree { struct tree *left, *right; int v; };
static struct tree *make(int depth, int v)
{
    struct tree *t = malloc(sizeof *t);
    if (!t)
        abort();
    t->v = v;
    t->left = depth ? make(depth - 1, 2 * v) : NULL;
    t->right = depth ? make(depth - 1, 2 * v + 1) : NULL;
    return t;
}
static long sum(const struct tree *t)
{
    return t ? t->v + sum(t->left) + sum(t->right) : 0;
}
static void drop(struct tree *t)
{
    if (!t)
        return;
    drop(t->left);
    drop(t->right);
    free(t);
}
int main(void)
{
    struct tree *keep = make(12, 1), *last = NULL;
    long s = 0;
    for (int i = 0; i < 60; i++) {
        struct tree *t = make(8, i);
        s += sum(t);
        if (i % 2)
            drop(t);
        last = t->left ? last : t;
        struct tree *swap = keep->left;
        keep->left = keep->right;
        keep->right = swap;
    }
    printf("%ld %ld %d\n", s, sum(keep), last == NULL);
    return 0;
}
