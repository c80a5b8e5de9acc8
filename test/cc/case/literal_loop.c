/* One for each iteration. */
struct node { struct node *next; int v; };
int f(int n)
{
    struct node *list = 0;
    int s = 0;
    for (int i = 0; i < n; i++)
        list = &(struct node){.next = list, .v = i};
    for (; list; list = list->next)
        s += list->v;
    return s;
}
