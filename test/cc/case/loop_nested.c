/* The inner loop's variable goes to the outer loop's, and stays in there. */
int f(int n)
{
    int s = 0;
    for (int i = 0; i < n; i++) {
        int *v[4];
        for (int j = 0; j < 4; j++) {
            int k = i * j;
            v[j] = &k;
        }
        for (int j = 0; j < 4; j++)
            s += *v[j];
    }
    return s;
}
