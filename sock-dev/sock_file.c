/* SPDX-License-Identifier: MIT */
/* An open device: what its connections, its mappings and its event socket keep open. */
#include "sock_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static void on_wake(struct file *kernel_file)
{
    struct sock_file *file = kernel_file->owner;

    if (file->events)
        events_push(file->events);
}

int sock_file_open(struct sock_server *server, struct domain *d, const struct chardev *dev, unsigned flags, struct sock_file **out)
{
    struct sock_file *file = calloc(1, sizeof *file);
    int rc;

    if (!file)
        return -ENOMEM;
    /* Reads are the client's to wait for: it waits at its event socket. */
    rc = kernel_open(d->kernel, dev, flags | O_NONBLOCK, &file->file);
    if (rc) {
        free(file);
        return rc;
    }
    file->server = server;
    file->domain = d;
    file->refs = 1;
    file->file->owner = file;
    file->file->wake = on_wake;
    file->next = server->files;
    file->pprev = &server->files;
    if (file->next)
        file->next->pprev = &file->next;
    server->files = file;
    d->open_files++;
    *out = file;
    return 0;
}

void sock_file_put(struct sock_file *file)
{
    struct domain *d = file->domain;

    if (--file->refs)
        return;
    *file->pprev = file->next;
    if (file->next)
        file->next->pprev = file->pprev;
    kernel_file_close(file->file);
    free(file);
    d->open_files--;
    domain_enter(d);     /* lets a dead domain go if this was the last */
    domain_leave(d);
}

void sock_file_mapping_ended(struct file *file)
{
    sock_file_put(file->owner);
}
