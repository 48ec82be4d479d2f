/* SPDX-License-Identifier: MIT */
/* A request as it arrived: its parts, checked against its size, and the caller's memory in it. */
#ifndef GNTSIM_SOCK_DEV_MESSAGE_H
#define GNTSIM_SOCK_DEV_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gntsim/kernel.h>
#include <gntsim/socket.h>

struct message {
    const struct sock_range *ranges;
    uint32_t nr_ranges;
    const struct sock_view *views;
    uint32_t nr_views;
    char *data;                  /* the ranges' bytes, one after the other */
    uint64_t *starts;            /* of each range in data */
    struct sock_range *writes;   /* what a driver wrote, in order */
    uint32_t nr_writes, capacity;
    /* Whose views they are: the vma of mapping number id, and which page of it is page of its file;
     * NULL if there is none. */
    struct vma *(*look_up)(void *ctx, uint64_t id, uint64_t file_page, uint64_t *page);
    void *ctx;
};

/*
 * Takes the ranges and bytes behind a request's fixed part, until end. NULL, or what is wrong with
 * them.
 */
const char *message_parse(struct message *message, const struct sock_ioctl *ioctl, char *ranges,
                          const char *end);
void message_clear(struct message *message);
/* The caller's memory. Usable as long as the message. */
struct user_memory message_memory(struct message *message);
/* Copies size bytes at addr. 0, -EFAULT. */
int message_read(struct message *message, void *to, uint64_t addr, size_t size);
/* The bytes at an address that was written. */
const char *message_bytes(const struct message *message, uint64_t addr);

#endif
