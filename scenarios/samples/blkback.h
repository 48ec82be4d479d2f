/* SPDX-License-Identifier: MIT */
/*
 * A small block backend. Each request names pages of the frontend that belong together:
 *
 *   request GRANTER REF...     maps them, keeps them mapped     -> request N: ok TEXT|TEXT... (what is in the pages)
 *                                                               -> request N: error
 *   done N                     ends a request                   -> done N
 *
 * How a request is mapped, and what an error leads to, is the business of each variant.
 */
#ifndef BLKBACK_H
#define BLKBACK_H

#include "sample.h"

#define MAX_REQUESTS 512u

struct request {
    void *pages;
    uint32_t nr;
};

/* The pages in one run, or NULL. */
void *map_request(xengnttab_handle *gnttab, uint32_t granter, uint32_t nr, uint32_t *refs);
int unmap_request(xengnttab_handle *gnttab, void *pages, uint32_t nr);

static inline void serve_request(xengnttab_handle *gnttab, struct request *request, unsigned n, unsigned long args[], unsigned nr)
{
    uint32_t refs[MAX_REFS];

    request->nr = nr - 1;
    for (unsigned i = 0; i < request->nr; i++)
        refs[i] = (uint32_t)args[1 + i];
    request->pages = map_request(gnttab, (uint32_t)args[0], request->nr, refs);
    if (!request->pages) {
        say("request %u: error", n);
        return;
    }
    printf("request %u: ok ", n);
    for (unsigned i = 0; i < request->nr; i++)
        printf("%s%.32s", i ? "|" : "", (char *)request->pages + i * PAGE);
    say("");
}

static inline void end_request(xengnttab_handle *gnttab, struct request *request)
{
    if (request->pages && unmap_request(gnttab, request->pages, request->nr))
        die("cannot unmap");
    request->pages = NULL;
}

int main(void)
{
    static struct request requests[MAX_REQUESTS];
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    unsigned long args[MAX_REFS] = { 0 };
    unsigned nr_requests = 0, nr;
    char line[4096], *word;

    if (!gnttab)
        die("xengnttab_open");
    say("ready");
    while ((word = next_command(line, sizeof line, args, MAX_REFS, &nr))) {
        if (!strcmp(word, "request") && nr > 1 && nr_requests < MAX_REQUESTS) {
            serve_request(gnttab, &requests[nr_requests], nr_requests + 1, args, nr);
            nr_requests++;
        } else if (!strcmp(word, "done") && nr == 1 && args[0] && args[0] <= nr_requests) {
            end_request(gnttab, &requests[args[0] - 1]);
            say("done %lu", args[0]);
        } else {
            say("what?");
        }
    }
    for (unsigned i = 0; i < nr_requests; i++)
        end_request(gnttab, &requests[i]);
    xengnttab_close(gnttab);
    say("bye");
    return 0;
}

#endif
