/* SPDX-License-Identifier: MIT */
/*
 * A backend that answers requests on standard input. "DOMAIN REF..." maps those pages and prints
 * the sum of their first bytes. An error is an answer, too: it must never end the backend or leave
 * anything mapped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xengnttab.h>

#define MAX_PAGES 64
#define PAGE_SIZE 4096

static void answer(xengnttab_handle *gnttab, char *request)
{
    char *word = strtok(request, " \n");
    uint32_t refs[MAX_PAGES], domain = word ? (uint32_t)strtoul(word, NULL, 10) : 0;
    unsigned char *pages;
    unsigned n = 0, sum = 0;

    while (n < MAX_PAGES && (word = strtok(NULL, " \n")))
        refs[n++] = (uint32_t)strtoul(word, NULL, 10);
    pages = n ? xengnttab_map_domain_grant_refs(gnttab, n, domain, refs, PROT_READ) : NULL;
    if (!pages) {
        puts("error: cannot map");
        return;
    }
    for (unsigned i = 0; i < n; i++)
        sum += pages[i * PAGE_SIZE];
    printf("sum %u\n", sum);
    xengnttab_unmap(gnttab, pages, n);
}

int main(void)
{
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    char request[1024];

    if (!gnttab) {
        perror("error: no grant device");
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    while (fgets(request, sizeof request, stdin))
        answer(gnttab, request);
    xengnttab_close(gnttab);
    return 0;
}
