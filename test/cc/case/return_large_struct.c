/* Out of the function in a struct that the caller has room for. */
struct large { int *p; long v[8]; };
struct large f(int *given)
{
    int x = 1;
    struct large l = {&x, {0}};
    l.v[0] = *given;
    return l;
}
struct large g(int *given)
{
    struct large l = {given, {0}};
    return l;
}
