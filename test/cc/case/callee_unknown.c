/* Nothing is known of this one. */
void elsewhere(int *p);
int f(void)
{
    int x = 1;
    elsewhere(&x);
    return x;
}
