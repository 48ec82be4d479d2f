/* SPDX-License-Identifier: MIT */
/* What each traced process has of the devices: descriptors and mappings. */
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

struct space {
    struct held_fd *fds;
    struct held_piece *pieces;
};

struct held_fd *space_fd(const struct space *space, pid_t tgid, int fd);
void space_add_fd(struct space *space, pid_t tgid, int fd, unsigned file);
/* True if no descriptor of the file is left. */
bool space_drop_fd(struct space *space, struct held_fd *fd);

void space_add_piece(struct space *space, struct held_piece piece);
/* Takes out what lies in the range, one piece a call (to be freed); NULL: no more. */
struct held_piece *space_take_piece(struct space *space, pid_t tgid, uint64_t start, uint64_t end);
struct held_piece *space_piece_at(const struct space *space, pid_t tgid, uint64_t addr);
bool space_has_mapping(const struct space *space, unsigned mapping);

/* A child with copies of everything. */
void space_fork(struct space *space, pid_t parent, pid_t child);
void space_free(struct space *space);

#endif
