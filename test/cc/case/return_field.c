/* The address of a member is an address of the struct. */
struct pair { int a, b; };
int *f(void)
{
    struct pair p = {1, 2};
    return &p.b;
}
