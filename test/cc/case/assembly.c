/* A register operand may go anywhere, a memory operand not. */
int f(void)
{
    int x = 1, y = 2;
    __asm__ volatile("" : : "r"(&x) : "memory");
    __asm__ volatile("" : "+m"(y));
    return x + y;
}
