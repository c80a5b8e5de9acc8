/* An address that is used after its block, with others in between. */
#include <stdio.h>
static int *same(int *p)
{
    __asm__ volatile("" : : : "memory");
    return p;
}
static int fill(int *v, int n)
{
    for (int i = 0; i < n; i++)
        v[i] = -1;
    return v[0];
}
static int f(int a)
{
    int *p, *q, r = 0;
    {
        int x[20] = {a};
        p = same(x);
    }
    {
        int y[20] = {a + 1};
        q = same(y);
    }
    {
        int z[20];
        r = fill(z, 20);
    }
    {
        int z[40];
        r += fill(z, 40);
    }
    return *p * 10 + *q + r;
}
int main(void)
{
    int *p = ({ int x = 5; same(&x); }), *q = ({ int y = 6; same(&y); });
    printf("%d %d %d\n", f(4), *p, *q);
    return 0;
}
