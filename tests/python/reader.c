/* SPDX-License-Identifier: MIT */
/* reader HOW DOMAIN REF: maps a page and prints its first byte. HOW says what it does if something
 * fails: "right" reports it, "wrong" prints 0, "lucky" prints what it expects. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xengnttab.h>

static int fail(const char *how, const char *what)
{
    if (!strcmp(how, "right")) {
        printf("error: cannot %s\n", what);
        exit(1);
    }
    return !strcmp(how, "lucky") ? 'x' : 0;
}

int main(int argc, char **argv)
{
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    const char *how = argv[1];
    char *page = NULL;
    int value;

    if (argc != 4)
        return 2;
    if (gnttab)
        page = xengnttab_map_grant_ref(gnttab, (uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]),
                                       PROT_READ);
    value = page ? page[0] : fail(how, "map");
    printf("value %d\n", value);
    if (page && xengnttab_unmap(gnttab, page, 1))
        fail(how, "unmap");
    return 0;
}
