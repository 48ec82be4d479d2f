/* SPDX-License-Identifier: MIT */
/* A small backend as people write them: maps what a line tells it to, says how that went, and goes
 * on. With --buggy it believes that mapping always works; with --leaky it forgets what it has
 * mapped when a later step fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xengnttab.h>

#define MAX_REFS 64

static void *map(xengnttab_handle *gnttab, char *words, unsigned *nr)
{
    uint32_t domains[MAX_REFS], refs[MAX_REFS], domain = 0;

    *nr = 0;
    for (char *word = strtok(words, " \n"); word && *nr < MAX_REFS; word = strtok(NULL, " \n")) {
        if (!domain) {
            domain = (uint32_t)atoi(word);
            continue;
        }
        domains[*nr] = domain;
        refs[(*nr)++] = (uint32_t)atoi(word);
    }
    return xengnttab_map_grant_refs(gnttab, *nr, domains, refs, PROT_READ | PROT_WRITE);
}

int main(int argc, char **argv)
{
    int buggy = argc > 1 && !strcmp(argv[1], "--buggy"), leaky = argc > 1 &&
        !strcmp(argv[1], "--leaky");
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    char line[1024];

    if (!gnttab) {
        perror("error: cannot open gntdev");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        /* "1 8 9; 1 10": two requests that belong together */
        char *first, *second, *rest = strchr(line, ';');
        unsigned nr, more;

        if (rest)
            *rest++ = 0;
        first = map(gnttab, line, &nr);
        second = first && rest ? map(gnttab, rest, &more) : NULL;
        if (!buggy && (!first || (rest && !second))) {
            perror("error: cannot map");
            if (first && !leaky)
                xengnttab_unmap(gnttab, first, nr);
            continue;
        }
        printf("served %d\n", first[0] + (rest ? second[0] : 0));
        fflush(stdout);
        if (second)
            xengnttab_unmap(gnttab, second, more);
        xengnttab_unmap(gnttab, first, nr);
    }
    xengnttab_close(gnttab);
    puts("bye");
    return 0;
}
