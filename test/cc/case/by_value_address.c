/* The address of a parameter that is a struct passed in memory. */
struct large { long v[8]; };
long *f(struct large b)
{
    return &b.v[2];
}
