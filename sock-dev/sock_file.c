/* SPDX-License-Identifier: MIT */
/* An open device, and the connections, mappings and event socket that keep it open. */
#include "sock_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <string.h>

#include <utlist.h>

static void on_wake(struct file *kernel_file)
{
    struct sock_file *file = kernel_file->owner;

    if (file->events)
        events_push(file->events);
}

int sock_file_open(struct sock_server *server, struct domain *d, const struct chardev *dev,
                   unsigned flags, struct sock_file **out)
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
    DL_PREPEND(server->files, file);
    d->open_files++;
    *out = file;
    return 0;
}

void sock_file_put(struct sock_file *file)
{
    struct domain *d = file->domain;

    if (--file->refs)
        return;
    DL_DELETE(file->server->files, file);
    if (file->page)
        page_free(file->page);
    kernel_file_close(file->file);
    free(file);
    d->open_files--;
    domain_enter(d);     /* lets a dead domain go if this was the last */
    domain_leave(d);
}

void sock_file_known_by(struct sock_file *file, int fd)
{
    struct stat st;

    if (fstat(fd, &st))
        return;
    file->dev = st.st_dev;
    file->ino = st.st_ino;
}

/*
 * Somebody made a call on the device past its sockets; it may have been one that lets an evtchn
 * device go on after an error.
 */
static void put_found(void *owner)
{
    struct sock_file *file = owner;

    if (file->events)
        events_reset(file->events);
    sock_file_put(file);
}

bool sock_file_find(struct machine *m, dev_t dev, ino_t ino, struct machine_file *found)
{
    struct sock_file *file = sock_of(m)->files;

    while (file && (file->ino != ino || file->dev != dev))
        file = file->next;
    if (!file)
        return false;
    file->refs++;
    *found = (struct machine_file){
        .kernel = file->file, .domain = file->domain, .owner = file, .put = put_found,
        .mapping_ended = sock_file_mapping_ended
    };
    return true;
}

void sock_file_mapping_ended(struct file *file)
{
    sock_file_put(file->owner);
}
