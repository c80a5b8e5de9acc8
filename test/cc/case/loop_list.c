/* A list of objects that does not leave the function, through iterations. */
#include <stdlib.h>
struct node { struct node *next; int *p; };
int f(int n)
{
    struct node *list = 0;
    int s = 0;
    for (int i = 0; i < n; i++) {
        int k = i;
        struct node *x = malloc(sizeof *x);
        x->p = &k;
        x->next = list;
        list = x;
    }
    for (; list; list = list->next)
        s += *list->p;
    return s;
}
