/* An element of an array, and the array by its name. */
int *f(int i)
{
    int v[4] = {1, 2, 3, 4};
    return &v[i];
}
char *g(void)
{
    char text[] = "text";
    return text;
}
