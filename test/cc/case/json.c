/* options: --json */
/* A line for each finding. */
int *f(int *p)
{
    int x = *p;
    return p ? p : &x;
}
