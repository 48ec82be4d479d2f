/* SPDX-License-Identifier: MIT */
/* The device descriptors and mappings of each traced process. */
#ifndef GNTSIM_RECORD_SPACE_H
#define GNTSIM_RECORD_SPACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct held_fd {
    pid_t tgid;
    int fd;
    unsigned file;                  /* number of the open file */
    struct held_fd *next;
};

/* A piece of a mapping in an address space. */
struct held_piece {
    pid_t tgid;
    uint64_t start, end;
    unsigned mapping;               /* its number */
    uint64_t offset;                /* of start in the mapping */
    struct held_piece *next;
};

/* What an epoll descriptor was asked to look at. */
struct interest {
    pid_t tgid;
    int epoll, fd;
    unsigned file;                  /* 0: none of a device */
    uint32_t events;
    uint64_t data;
    struct interest *next;
};

struct space {
    struct held_fd *fds;
    struct held_piece *pieces;
    struct interest *interests;     /* in the order in which they were added */
};

struct held_fd *space_fd(const struct space *space, pid_t tgid, int fd);
void space_add_fd(struct space *space, pid_t tgid, int fd, unsigned file);
/* True if no descriptor of the file is left; then nothing waits for it, either. */
bool space_drop_fd(struct space *space, struct held_fd *fd);

void space_add_piece(struct space *space, struct held_piece piece);
/* Takes out what lies in the range, one piece a call (to be freed); NULL: no more. */
struct held_piece *space_take_piece(struct space *space, pid_t tgid, uint64_t start, uint64_t end);
struct held_piece *space_piece_at(const struct space *space, pid_t tgid, uint64_t addr);
bool space_has_mapping(const struct space *space, unsigned mapping);

/* Adds it, or changes the one that there is of the same descriptors. */
void space_set_interest(struct space *space, const struct interest *interest);
void space_drop_interest(struct space *space, const struct interest *interest);
/* All that an epoll descriptor was asked for. */
void space_drop_epoll(struct space *space, pid_t tgid, int epoll);

/* A child with copies of everything. */
void space_fork(struct space *space, pid_t parent, pid_t child);
void space_free(struct space *space);

#endif
