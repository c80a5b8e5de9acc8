/* The address does not leave its iteration. */
static void look(const int *p)
{
    (void)p;
}
void f(int n)
{
    for (int i = 0; i < n; i++) {
        int k = i;
        look(&k);
    }
}
