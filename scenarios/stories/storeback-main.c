/* SPDX-License-Identifier: MIT */
/* What every storeback does, right or wrong; storeback.h says how it is used. */
#include <errno.h>
#include <stdio.h>

#include "storeback.h"

static char *read_key(struct front *front, const char *key)
{
    char path[256];
    unsigned len;

    snprintf(path, sizeof path, "%s/%s", front->directory, key);
    return xs_read(front->xs, XBT_NULL, path, &len);
}

bool storeback_open(struct front *front)
{
    front->xs = xs_open(0);
    return front->xs;
}

bool storeback_watch(struct front *front)
{
    return xs_watch(front->xs, front->directory, "front");
}

long storeback_ring(struct front *front)
{
    char *text = read_key(front, "ring-ref");
    long ring = text ? atol(text) : 0;

    free(text);
    return ring;
}

void storeback_connect(struct front *front, long ring)
{
    if (front->connected)
        return;
    front->connected = true;
    front->ring = ring;
    printf("ring %ld\n", ring);
}

void storeback_close(struct front *front)
{
    if (front->connected)
        printf("closed\n");
    front->connected = false;
}

int main(int argc, char **argv)
{
    struct front front = { .directory = argv[1], .ring = -1 };
    bool goes_on = argc == 2 && storeback_open(&front) && storeback_watch(&front);

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf(goes_on ? "watching\n" : "cannot watch\n");
    while (goes_on && !front.gone) {
        unsigned nr;
        char **event = xs_read_watch(front.xs, &nr), *state;

        if (!event) {
            goes_on = front_lost(&front);
            continue;
        }
        free(event);
        state = read_key(&front, "state");
        /* Whoever may not read what is above is not told that it is gone. */
        if (state || errno == ENOENT || errno == EACCES)
            front_changed(&front, state);
        free(state);
    }
    if (front.gone)
        printf("gone\n");
    if (front.xs)
        xs_close(front.xs);
    return goes_on ? 0 : 1;
}
