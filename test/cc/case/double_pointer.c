/* The address of a pointer escapes, and so does what it points to. */
static int **kept;
void f(void)
{
    int x = 1, *p = &x;
    kept = &p;
}
