/* SPDX-License-Identifier: MIT */
/*
 * Namespaces: the machine's own, and one set per domain, where /dev/xen is that domain's. The
 * machine's memory and file system are mounted in its own and vanish with it.
 */
#ifndef GNTSIM_FUSE_DEV_NS_H
#define GNTSIM_FUSE_DEV_NS_H

#include <stdbool.h>
#include <stdint.h>

#include <gntsim/hv.h>

/* Inside the machine's namespace only: */
#define STAGE_NAME ".gntsim"
#define STAGE_DIR  "/dev/" STAGE_NAME
#define STAGE_MEM  STAGE_DIR "/mem"         /* private tmpfs of maps.h */
#define STAGE_FS   STAGE_DIR "/fs"          /* dev_fs.h is mounted here */
/* Inside the domains' namespaces as well: */
#define SOCKETS_NAME ".gntsim-sockets"
#define SOCKETS_DIR  "/dev/" SOCKETS_NAME
#define STORE_DIR    SOCKETS_DIR "/xenstored"   /* shown at /run/xenstored in domain 0 */
/* A domain's /proc/xen, where the host has no directory of that name. */
#define XENFS_NAME ".gntsim-xenfs"
#define XENFS_DIR  "/dev/" XENFS_NAME

/*
 * Moves the calling process, which must have one thread, into namespaces of its own and builds a
 * /dev there: the host's nodes, STAGE_DIR, SOCKETS_DIR, an empty /dev/xen, and room for module
 * parameters under /sys/module. *user_ns_fd: a descriptor of the new user namespace, or -1 if none
 * was needed. Negative errno after a message on stderr.
 */
int ns_enter_machine(int *user_ns_fd);
/* Does of it what a host may forbid, in a process that only wants to know: of the host's nodes its
 * /dev has /dev/fuse alone. To show hundreds of them, and to take that back, takes milliseconds. */
int ns_try_machine(void);
/*
 * After an error: user namespaces are not forbidden here, this is a chroot, in which only root can
 * have one.
 */
bool ns_only_for_root(int error);
/* Makes a mount namespace with domain id's devices. Descriptor, and one of our root directory in
 * it, or negative errno. Waits for the file system to answer. */
int ns_make_domain(domid_t id, int *root_fd);
/* Sends SIGKILL to every process in the mount namespace; with wait until none is left (for some
 * seconds at most). Waiting needs a served file system: a process in the middle of a request dies
 * when it is answered. */
void ns_kill_all(int ns_fd, bool wait);

/*
 * Gives the calling process, which has joined domain 0, what a store's daemon needs, in a mount
 * namespace of its own. /proc/xen: where the host's /proc has no such directory, no process can
 * make one, so /proc becomes a directory with the kernel's files and the process itself, but no
 * other processes. And directories for its log and state, all of them /run/xenstored. 0 or negative
 * errno after a message.
 */
int ns_show_for_store(void);
/* The number of the calling process's mount namespace, 0 if it is not known. */
uint64_t ns_number(void);
/* The root directory of the calling process, as text. 0 or negative errno. */
#define NS_ROOT_NAME 128
int ns_root_name(char name[NS_ROOT_NAME]);
/*
 * Whether two processes see the host from the same root directory; false if one of the names is
 * none.
 */
bool ns_same_root(const char *one, const char *other);
/* Moves the calling process, which has the machine's root directory, into a domain's namespaces,
 * and there into its root (root_fd) and working directories. user_ns_fd may be -1. Negative errno
 * after a message on stderr. */
int ns_join(int user_ns_fd, int mount_ns_fd, int root_fd);

#endif
