/* Atomic stores, exchanges, compare and swap. */
#include <stdatomic.h>
static _Atomic(int *) a, b, c;
int f(void)
{
    int x = 1, y = 2, z = 3, *none = 0;
    atomic_store(&a, &x);
    atomic_exchange(&b, &y);
    atomic_compare_exchange_strong(&c, &none, &z);
    return none != 0;
}
