/* SPDX-License-Identifier: MIT */
/* What every blkback does, right or wrong; blkback.h says how it is used. */
#include "blkback.h"

#define MAX_REQUESTS 512u

struct request {
    void *pages;
    uint32_t nr;
};

static void serve_request(xengnttab_handle *gnttab, struct request *request, unsigned n,
                          unsigned long args[], unsigned nr)
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

static void end_request(xengnttab_handle *gnttab, struct request *request)
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
