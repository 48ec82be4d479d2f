/* SPDX-License-Identifier: MIT */
/* What every reconnect does, right or wrong; reconnect.h says how it is used. */
#include "reconnect.h"

int main(void)
{
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    struct keys keys = { -1, -1 };
    char line[128], text[64], *word, *ring;
    unsigned long args[1] = { 0 };
    unsigned nr;

    if (!gnttab)
        die("xengnttab_open");
    say("ready");
    while ((word = next_command(line, sizeof line, args, 1, &nr))) {
        if (!strcmp(word, "ring-ref") && nr) {
            keys.ring_ref = (long)args[0];
        } else if (!strcmp(word, "ring-ref0") && nr) {
            keys.ring_ref0 = (long)args[0];
        } else if (!strcmp(word, "connect") && nr) {
            ring = xengnttab_map_grant_ref(gnttab, (uint32_t)args[0],
                                           (uint32_t)ring_reference(&keys), PROT_READ | PROT_WRITE);
            if (!ring) {
                say("no ring");
                continue;
            }
            snprintf(text, sizeof text, "%.63s", ring);
            if (xengnttab_unmap(gnttab, ring, 1))
                die("xengnttab_unmap");
            say("ring says %s", text);
        }
    }
    return 0;
}
