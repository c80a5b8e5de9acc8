/* Out of the function in a struct, returned in registers. */
struct pair { int *a, *b; };
struct pair f(void)
{
    int x = 1, y = 2;
    struct pair p = {&x, &y};
    return p;
}
