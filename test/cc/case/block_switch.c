/* Declared in a switch, and jumped past. */
int f(int c)
{
    int *p = 0;
    switch (c) {
    case 0:
        return 0;
        int x;
    case 1:
        x = 1;
        p = &x;
    }
    return p ? *p : 0;
}
int g(int c)
{
    int *p = 0;
    switch (c) {
    case 0:;
        int x = c;
        p = &x;
    case 1:
        x = 1;
    }
    return p ? *p : 0;
}
