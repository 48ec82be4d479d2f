/* SPDX-License-Identifier: MIT */
/* What the files of dev_fs share: names, nodes, open devices, and their reads and ioctls. */
#ifndef GNTSIM_FUSE_DEV_DEV_FS_I_H
#define GNTSIM_FUSE_DEV_DEV_FS_I_H

#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>
#include <uthash.h>

#include "async.h"
#include "dev_fs.h"
#include "dev_ino.h"
#include "machine.h"
#include "user_mem.h"

/* A device as looked up to be opened; dev_file once it is open. */
struct node {
    fuse_ino_t ino;
    uint64_t lookups;
    domid_t domid;
    unsigned index;              /* of the device, in kernel_chardevs */
    fuse_ino_t named;            /* the node that its name leads to */
    struct dev_file *file;
    UT_hash_handle hh;
};

struct dev_file {
    struct dev_fs *fs;
    struct domain *domain;
    struct file *file;
    struct node *node;           /* NULL once forgotten */
    unsigned refs;               /* the descriptor's, one per mapping, one per call in progress */
    bool compat;                 /* a 32-bit program was told that it is one */
    bool notifies;               /* it was asked for something at the end of a mapping */
    bool flushed;                /* a descriptor was closed: the release may be under way */
    struct poller *poller;       /* who waits in poll; NULL: nobody */
    _Atomic(struct supervisor *) mapper;   /* that reported its last mmap; it may be gone */
    struct async *async;         /* NULL: nobody asked for signals */
    struct dev_file *prev, *next;
};
struct dev_fs {
    struct machine *machine;
    struct fuse_session *session;
    char *path;
    dev_t dev;
    fuse_ino_t next_ino;
    struct node *nodes;          /* devices, by ino */
    struct node_rights *rights;  /* of nodes, by ino, where they are not as new */
    struct timespec born;
    struct dev_file *files;
    uint64_t requests;           /* served on them; with the machine's lock */
    atomic_uint nr_flushed;      /* files with flushed set */
    struct waiting *waiting;     /* calls that are not answered yet, by id */
    uint64_t next_waiting;
    bool looks_for_killed;       /* a loop does */
    pthread_mutex_t buffer_lock;
    struct spare *spare;         /* receive buffers not in use */
};

/* A call on a device that is not answered at once: the kernel model will, or the answer is one that needs more than a reply. */
struct waiting {
    struct kreq kreq;
    struct user_mem user_mem;
    struct machine_later later;
    enum { WAITING_READ, WAITING_IOCTL, WAITING_OPEN } what;
    fuse_req_t req;              /* NULL: answered already, perhaps because its caller was killed */
    struct dev_fs *fs;
    struct dev_file *file;       /* a reference while it waits for the kernel model; an open's is the descriptor's (NULL: a parameter's) */
    pid_t tid;
    uint64_t id;                 /* 0: not among fs->waiting */
    atomic_bool reachable;       /* whoever finds the caller killed may answer */
    bool armed;                  /* the kernel model's answer may be given: nobody else needs req any more */
    bool completed;              /* its result is there */
    bool changing;               /* a thread of dev_result.c or watch.c will answer */
    bool seized;                 /* by the thread that changes the result */
    bool precedes_mmap;          /* such an ioctl */
    bool interrupted;            /* by a signal, of which some do nothing to it */
    long result;
    char *buffer;                /* of a read */
    size_t size;
    struct waiting *next;        /* of those that a supervisor answers */
    int cpu;                     /* where it is to be answered; PIN_NOWHERE: anywhere */
    UT_hash_handle hh;
};

/* dev_names.c. All reply. */
void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups);
void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi);
void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void param_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off);
void param_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size);

/* dev_nodes.c. With the lock. What stat says of a node, but for its number. */
void node_stat(struct dev_fs *fs, fuse_ino_t ino, struct stat *st);
/* As FUSE's setattr; what a node does not have is left out. 0 or negative errno. */
int node_set(struct dev_fs *fs, fuse_ino_t ino, const struct stat *attr, int to_set);
void nodes_free(struct dev_fs *fs);

/* dev_ioctl.c */
void fs_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
              const void *in_buf, size_t in_size, size_t out_size);
/* dev_wait.c. file: NULL in the open of a parameter. NULL: it has replied. */
struct waiting *waiting_create(fuse_req_t req, struct dev_file *file, size_t size);
void waiting_free(struct waiting *call);
/* Has start make the call, with the machine's lock, and sees to it that it is answered, now or later. */
void waiting_start(struct waiting *call, long (*start)(struct waiting *call, void *how), void *how);
/* Until waiting_take, the caller is answered if it is killed. The answer is taken in a thread that may have to wait for that. */
void waiting_hold(struct waiting *call);
/* The request to be answered, NULL if it was. */
fuse_req_t waiting_take(struct waiting *call);
/* Has a loop look for what is gone, see watch_reap. False: it cannot. */
bool waiting_look(struct dev_fs *fs);
/* Ends a waiting read with EINTR if it still waits. */
void waiting_cancel(struct dev_fs *fs, uint64_t id);
/* dev_result.c. The following reply, without the lock, and free the call. To an open: it ends at a descriptor from FILTER_MIN_FD on. */
void reply_open(struct waiting *call);
/* To an ioctl that is over, exactly. */
void reply_ioctl(struct waiting *call);
/* Their ends for a thread that a supervisor watches, by that. */
void change_watched(struct waiting *call);
/* A signal woke the thread of a waiting read: ends the read as Linux does, which may begin it anew. False: it cannot. */
bool read_restart(struct dev_fs *fs, uint64_t id, pid_t tid);

/* dev_file.c. No release of the file is under way, or it has come. */
void dev_file_settled(struct dev_file *file);
/* All reply. */
void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void fs_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi);
void fs_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph);
void fs_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void fs_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *fi);

#endif
