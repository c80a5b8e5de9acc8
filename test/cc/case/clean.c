/* options: */
/* Without -m only what dangles is told: here nothing is. */
static int sum(const int *v)
{
    return v[0] + v[1];
}
int f(int *p)
{
    int v[2] = {*p, 2};
    return sum(v);
}
