/* SPDX-License-Identifier: MIT */
/*
 * The machine's output: callers queue lines, and a thread writes them. So a caller never waits for
 * a file or a reader, whatever lock it holds. A regular file gets every line. Another reader may be
 * slow or never read: then lines without room are lost, and a line says how many.
 */
#ifndef GNTSIM_MACHINE_OUTLET_H
#define GNTSIM_MACHINE_OUTLET_H

#include <stdbool.h>
#include <stddef.h>

struct outlet;

struct outlet_config {
    int fd;                      /* taken if this succeeds */
    size_t capacity; /* of the queue, bytes; more in it for a regular file until outlet_wait has
                        waited */
    unsigned delay_ms;           /* lines may wait for others for so long */
    const char *lost_format;     /* of the line that says how many were lost, %llu */
    /* In the outlet's thread, once: writing failed with an errno, and ends. NULL: nobody asks. */
    void (*failed)(void *ctx, int error);
    void *ctx;
};

/* 0 or negative errno. */
int outlet_create(struct outlet **out, const struct outlet_config *config);
/* Queues whole lines. False: they are lost. Never waits. */
bool outlet_put(struct outlet *outlet, const char *lines, size_t size);
/* Without any lock: waits while a regular file is behind by more than the capacity. */
void outlet_wait(struct outlet *outlet);
/*
 * Writes what is queued, as long as somebody reads, closes the file and frees. 0, the errno with
 * which writing failed, or ETIMEDOUT: nobody read the end. NULL: 0.
 */
int outlet_finish(struct outlet *outlet);

#endif
