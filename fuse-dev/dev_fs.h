/* SPDX-License-Identifier: MIT */
/*
 * The FUSE file system with every domain's device files and module parameters. They are
 * /<domid>/<device> and /<domid>.module/<module>/parameters/<name>.
 *
 * A lookup by a call that opens a device gives a new inode each time. The kernel tells the inode
 * number of any process's descriptor, so that number identifies the open file. The inode is a
 * regular file, because FUSE serves no open device. Calls that only name the device, like stat and
 * chmod, find a character device that nobody can open.
 */
#ifndef GNTSIM_FUSE_DEV_DEV_FS_H
#define GNTSIM_FUSE_DEV_DEV_FS_H

#include <stdbool.h>
#include <sys/types.h>

#include <gntsim/kernel.h>

struct machine;
struct machine_file;
struct dev_fs;
struct dev_file;
struct supervisor;

/* Mounts at path. Negative errno after a message. */
int dev_fs_create(struct dev_fs **out, struct machine *m, const char *path);
/* Serves one request; false when the file system is unmounted. A loop_step. */
bool dev_fs_step(void *fs);
/* Aborts the connection: everybody's requests fail, dev_fs_step returns false. */
void dev_fs_abort(struct dev_fs *fs);
/*
 * Closes what aborted clients had open: no release comes for it any more. With the machine's lock,
 * after maps_end_all.
 */
void dev_fs_close_all(struct dev_fs *fs);
void dev_fs_destroy(struct dev_fs *fs);

/* The open device behind descriptor fd of thread tid, with a reference, or NULL. Takes no lock;
 * *is_ours: fd belongs to this file system. The result needs the machine's lock to be used. */
struct dev_file *dev_fs_find(struct dev_fs *fs, pid_t tid, int fd, bool *is_ours);
/* The open device of another way that the descriptor stands for, with a reference; false: none. */
bool dev_fs_find_elsewhere(struct dev_fs *fs, pid_t tid, int fd, struct machine_file *file);
/* Waits until every release that a close before this call has caused is served: the kernel sends it
 * by the way, and whoever closed a device expects the next call, wherever it arrives, to find it
 * closed. Takes no lock. */
void dev_fs_catch_up(struct dev_fs *fs);

/* With the machine's lock: */
/* The open device that stat(2) says this of, as struct machine_part's find_file. */
bool dev_fs_find_ino(struct dev_fs *fs, dev_t dev, ino_t number, struct machine_file *found);
/* The nodes of domain id are as new: nobody has seen them yet. */
void dev_fs_new_nodes(struct dev_fs *fs, domid_t domid);
/* Requests served on the device files, for people. */
uint64_t dev_fs_requests(const struct dev_fs *fs);
struct file *dev_file_kernel(struct dev_file *file);
struct domain *dev_file_domain(struct dev_file *file);
/* Whether it was asked for something to happen at the end of a mapping. */
bool dev_file_notifies(const struct dev_file *file);
void dev_file_get(struct dev_file *file);
/* Without it: the supervisor that got an mmap of the file, which will probably get the next. */
void dev_file_mapped_by(struct dev_file *file, struct supervisor *supervisor);
/* The last reference closes the file in the kernel model. */
void dev_file_put(struct dev_file *file);
/* For maps_add: gives the mapping's reference back. */
void dev_file_mapping_ended(struct file *kernel_file);

#endif
