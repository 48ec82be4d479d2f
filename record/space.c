/* SPDX-License-Identifier: MIT */
/* Keeps the device descriptors and mappings of each traced process. */
#include "space.h"

#include <stdlib.h>

#include <utlist.h>

static void *must(void *p)
{
    if (!p)
        abort();        /* nobody's books but the tracer's own */
    return p;
}

struct held_fd *space_fd(const struct space *space, pid_t tgid, int fd)
{
    struct held_fd *f = space->fds;

    while (f && (f->tgid != tgid || f->fd != fd))
        f = f->next;
    return f;
}

void space_add_fd(struct space *space, pid_t tgid, int fd, unsigned file)
{
    struct held_fd *old = space_fd(space, tgid, fd), *f;

    if (old && old->file == file)
        return;
    if (old)
        space_drop_fd(space, old);
    f = must(malloc(sizeof *f));
    *f = (struct held_fd){ tgid, fd, file, space->fds };
    space->fds = f;
}

bool space_drop_fd(struct space *space, struct held_fd *fd)
{
    unsigned file = fd->file;

    LL_DELETE(space->fds, fd);
    free(fd);
    for (const struct held_fd *f = space->fds; f; f = f->next)
        if (f->file == file)
            return false;
    for (struct interest *i = space->interests, *next; i; i = next) {
        next = i->next;
        if (i->file == file)
            space_drop_interest(space, i);
    }
    return true;
}

void space_add_piece(struct space *space, struct held_piece piece)
{
    struct held_piece *p = must(malloc(sizeof *p));

    *p = piece;
    LL_PREPEND(space->pieces, p);
}

struct held_piece *space_take_piece(struct space *space, pid_t tgid, uint64_t start, uint64_t end)
{
    for (struct held_piece *p = space->pieces; p; p = p->next) {
        if (p->tgid != tgid || p->end <= start || p->start >= end)
            continue;
        LL_DELETE(space->pieces, p);
        if (p->start < start)
            space_add_piece(
                space, (struct held_piece){ tgid, p->start, start, p->mapping, p->offset, NULL });
        if (p->end > end)
            space_add_piece(space, (struct held_piece){ tgid, end, p->end, p->mapping,
                                                        p->offset + (end - p->start), NULL });
        if (p->start < start) {
            p->offset += start - p->start;
            p->start = start;
        }
        if (p->end > end)
            p->end = end;
        return p;
    }
    return NULL;
}

struct held_piece *space_piece_at(const struct space *space, pid_t tgid, uint64_t addr)
{
    struct held_piece *p = space->pieces;

    while (p && (p->tgid != tgid || addr < p->start || addr >= p->end))
        p = p->next;
    return p;
}

bool space_has_mapping(const struct space *space, unsigned mapping)
{
    for (const struct held_piece *p = space->pieces; p; p = p->next)
        if (p->mapping == mapping)
            return true;
    return false;
}

static struct interest *find_interest(const struct space *space, const struct interest *like)
{
    struct interest *i = space->interests;

    while (i && (i->tgid != like->tgid || i->epoll != like->epoll || i->fd != like->fd))
        i = i->next;
    return i;
}

void space_set_interest(struct space *space, const struct interest *interest)
{
    struct interest *i = find_interest(space, interest), *next;

    if (!i) {
        i = must(malloc(sizeof *i));
        LL_APPEND(space->interests, i);
    }
    next = i->next;
    *i = *interest;
    i->next = next;
}

void space_drop_interest(struct space *space, const struct interest *interest)
{
    struct interest *i = find_interest(space, interest);

    if (!i)
        return;
    LL_DELETE(space->interests, i);
    free(i);
}

void space_drop_epoll(struct space *space, pid_t tgid, int epoll)
{
    for (struct interest *i = space->interests, *next; i; i = next) {
        next = i->next;
        if (i->tgid == tgid && i->epoll == epoll)
            space_drop_interest(space, i);
    }
}

void space_fork(struct space *space, pid_t parent, pid_t child)
{
    for (const struct interest *i = space->interests; i; i = i->next) {
        struct interest copy = *i;

        copy.tgid = child;
        if (i->tgid == parent)
            space_set_interest(space, &copy);
    }
    for (const struct held_fd *f = space->fds, *next; f; f = next) {
        next = f->next;
        if (f->tgid == parent)
            space_add_fd(space, child, f->fd, f->file);
    }
    for (const struct held_piece *p = space->pieces, *next; p; p = next) {
        next = p->next;
        if (p->tgid == parent)
            space_add_piece(
                space, (struct held_piece){ child, p->start, p->end, p->mapping, p->offset, NULL });
    }
}

void space_free(struct space *space)
{
    while (space->interests)
        space_drop_interest(space, space->interests);
    while (space->fds) {
        struct held_fd *next = space->fds->next;

        free(space->fds);
        space->fds = next;
    }
    while (space->pieces) {
        struct held_piece *next = space->pieces->next;

        free(space->pieces);
        space->pieces = next;
    }
}
