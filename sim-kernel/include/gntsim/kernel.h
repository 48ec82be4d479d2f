/* SPDX-License-Identifier: MIT */
/*
 * The guest-kernel model: one struct kernel is the kernel of one domain, with its grant table, its event
 * channels and its /dev/xen devices. It reaches the machine through hypercalls and guest-visible frames only.
 *
 * Not thread-safe: calls for all kernels of one machine are made one at a time by whoever embeds them. The
 * one exception is struct user_memory, see there. Nothing in here sleeps: what a real kernel waits for is a
 * request (struct kreq) or a timer (kernel_run_timers).
 *
 * Behaviour follows Linux' drivers/xen and the kernel profile; errors are negative errno values as the
 * driver would return them.
 */
#ifndef GNTSIM_KERNEL_H
#define GNTSIM_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <gntsim/hv.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)    /* all else in the library is hidden */

struct kernel;
struct file;
struct vma;

/* ---- Profiles --------------------------------------------------------------------------------- */

/* What to do with GNTST_eagain when a grant is mapped. */
enum kernel_eagain {
    KERNEL_EAGAIN_RETRY,      /* retried in the kernel, 1, 2 .. 255 ms apart; then GNTST_bad_page */
    KERNEL_EAGAIN_TO_USER,    /* mmap fails with EAGAIN and can be repeated on the same offset */
};

/* What differs between real kernels, as data. One line of doc per field; the table is docs' too. */
struct kernel_profile {
    const char *name;               /* "pv", "pvh", "legacy" */
    const char *describes;          /* one line for people */
    bool auto_translated;           /* needs a domain created so */
    enum kernel_eagain map_eagain;
    bool map_once;                  /* an index can be mmapped once in its life */
    bool gntalloc_waits_for_peer;   /* model A: pages still mapped by the peer count against the limit and are
                                     * retried at the next ALLOC/DEALLOC; false, model B: deferred by a timer */
    bool event_before_unmap;        /* unmap notification: event first, then byte and unmap */
    bool has_grant_copy;
    bool notify_checks_port;        /* SET_UNMAP_NOTIFY refuses a port not bound through evtchn */
    bool gntdev_limit_is_total;     /* the limit bounds the pages of all maps of the domain (ENOMEM), not one request's */
    bool has_bind_static;           /* IOCTL_EVTCHN_BIND_STATIC exists */
    bool privcmd_restricted;        /* in an unprivileged domain privcmd files are restricted from the start (XSA-482) */
    uint32_t gntdev_limit;          /* module parameter at start: pages per request */
    int32_t gntalloc_limit;         /* module parameter at start: pages in all */
    uint32_t deferred_per_run;      /* deferred frees looked at per second */
};
extern const struct kernel_profile kernel_profile_pv, kernel_profile_pvh, kernel_profile_legacy;
/* By name, NULL if unknown; kernel_profiles is a NULL-terminated list. */
const struct kernel_profile *kernel_profile_find(const char *name);
extern const struct kernel_profile *const kernel_profiles[];

/* ---- Faults and trace ------------------------------------------------------------------------- */

/* What happens in a kernel. In brackets: args of its point. */
enum kernel_op {
    /* Calls of device files. These can fail: */
    KERNEL_OPEN,         /* [flags] */
    KERNEL_IOCTL,        /* [command, argument] */
    KERNEL_MMAP,         /* [offset, length, prot, flags] */
    KERNEL_READ,         /* [size, not waiting] */
    KERNEL_WRITE,        /* [size]; data: what is written */
    KERNEL_POLL,
    /* these cannot: */
    KERNEL_RELEASE,
    KERNEL_MUNMAP,       /* [first page, pages]: kernel_vma_unmap */
    KERNEL_VMA_CLOSE,
    KERNEL_CANCEL,       /* [call] */
    KERNEL_PARAM,        /* [value]; data: the name */
    /* In the kernel itself: */
    KERNEL_UNMAP,        /* [first page, pages]: a map's grants are given back */
    KERNEL_NOTIFY,       /* [UNMAP_NOTIFY_*, port]: an unmap notification is due */
    KERNEL_EVENT,        /* [port]: an event is delivered to who is bound */
    KERNEL_DEFER,        /* [waiting]: the tick that ends deferred grants */
    KERNEL_NR_OPS,
};

struct kernel_point {
    enum kernel_op op;
    struct kernel *kernel;
    uint64_t call;                         /* number of the device call in this kernel; 0 in the kernel itself */
    const struct chardev *dev;             /* of the file, if there is one */
    uint64_t file, vma;                    /* numbers in this kernel; 0: none */
    uint64_t args[4];
    const void *data;
    size_t size;
    int64_t tag;                           /* the hooks' own, 0 at first: who calls */
    bool nested;                           /* called from within another call into this kernel (file->wake) */
    bool can_wait;                         /* a call that may be answered later: ioctl, mmap, a read that is not O_NONBLOCK */
    /* the kernel's: */
    bool hold;
    uint64_t hold_token, hold_ns;
};

enum kernel_action {
    KERNEL_GO_ON,
    KERNEL_FAIL,         /* a call that can fail: answered with value, the driver is not asked */
    KERNEL_HOLD,         /* ioctl, mmap, read: begins ns later, or with ns 0 when kernel_resume is called with the token */
    KERNEL_DROP,         /* notify, event: does not happen; defer: nothing is done this time */
    KERNEL_DOUBLE,       /* notify, event: happens twice */
    KERNEL_LATE,         /* notify (its event only), event, defer, unmap: happens ns later */
};
struct kernel_verdict {
    enum kernel_action action;
    long value;
    uint64_t ns, token;
};

enum kernel_user { KERNEL_USER_READ, KERNEL_USER_WRITE, KERNEL_USER_FIND_VMA, KERNEL_USER_VMA_AT };

/* Calls out of the model, with the kernel's ctx. Every pointer may be NULL. inject may destroy other domains and their
 * kernels; none may otherwise call back. */
struct kernel_hooks {
    /* Asked before each of the above but KERNEL_VMA_CLOSE, KERNEL_CANCEL and KERNEL_PARAM, after enter. */
    struct kernel_verdict (*inject)(void *ctx, struct kernel_point *point);
    /* A call of a device file (or what else the outside does) begins, and what came of it, maybe much later. What happens in the
     * kernel itself has only done, before its consequences; result is the action chosen. */
    void (*enter)(void *ctx, struct kernel_point *point);
    void (*done)(void *ctx, const struct kernel_point *point, long result);
    /* A call has reached its caller's memory; data is what was read or is written. vma: what was found. */
    void (*user)(void *ctx, const struct kernel_point *point, enum kernel_user op, const void *data, size_t size,
                 const struct vma *vma, int rc);
};
/* The device call that is running now, NULL if none is: for hooks of the hypervisor. */
struct kernel_point *kernel_current(const struct kernel *k);
/* The running call, if it is one that can wait, is answered ns later than it ends, or with ns 0 when kernel_resume is called with
 * the token. False: it cannot wait. */
bool kernel_hold_answer(struct kernel *k, uint64_t token, uint64_t ns);
/* Lets a held call go on. -ENOENT. */
int kernel_resume(struct kernel *k, uint64_t token);
bool kernel_holds(const struct kernel *k, uint64_t token);
/* What is waiting for a timer: nothing (or only what comes round again for ever), an event or unmapping that is late, or
 * a call that will be answered in time by itself. */
enum kernel_waiting { KERNEL_NOTHING_WAITS, KERNEL_SOMETHING_LATE, KERNEL_CALL_WAITS };
enum kernel_waiting kernel_waiting(const struct kernel *k);

/* ---- Life ------------------------------------------------------------------------------------- */

struct kernel_config {
    struct hv *hv;
    domid_t domid;                         /* exists already, see kernel_domain_config */
    const struct kernel_profile *profile;  /* NULL: kernel_profile_pv */
    /* Monotonic machine time in nanoseconds; NULL: time stands at 0. */
    uint64_t (*now)(void *ctx);
    /* The kernel's next deadline (kernel_next_timer) became earlier than it was. May be NULL. */
    void (*timer_changed)(void *ctx);
    void (*log)(void *ctx, const char *line);   /* what a real kernel would print; may be NULL */
    void *ctx;
    bool privcmd_unrestricted;             /* boot parameter xen_privcmd.unrestricted */
    unsigned grant_version;                /* boot parameter grant_table.version: 1 or 2; 0: the kernel chooses (1) */
    const struct kernel_hooks *hooks;      /* NULL: none, which costs nothing to speak of */
};

/*
 * Fills config for hv_domain_create so that a kernel of this profile can run in the domain. pv_space is
 * what the domain's hypercalls and the kernel share to place host mappings; create one per domain before
 * the domain, hand it to kernel_create, and it is freed by kernel_destroy.
 */
struct kernel_pv_space;
struct kernel_pv_space *kernel_pv_space_create(void);               /* NULL: out of memory */
void kernel_pv_space_destroy(struct kernel_pv_space *space);         /* only if never given to kernel_create */
void kernel_domain_config(struct hv_domain_config *config, const struct kernel_profile *profile,
                          struct kernel_pv_space *space);

/* Boots: sets the grant table up, masks and unmasks what a kernel does. 0, -ENOMEM, -ESRCH, -EINVAL (the domain is not of
 * the profile's kind, or a PV kernel without a space). Takes space on success. */
int kernel_create(struct kernel **out, const struct kernel_config *config, struct kernel_pv_space *space);
/*
 * The domain is gone (call right after hv_domain_destroy, or at the end of the machine): frees everything without
 * a hypercall, notification or event. Requests in flight are completed with -ENODEV; files must not be used again,
 * but each must still be closed with kernel_file_close.
 * It may be called while other calls into this kernel are held up in user_memory: each ends with -ENODEV when it goes on, and
 * the last one frees struct kernel. Between hv_domain_destroy and this call the kernel notices that its domain is gone and does
 * nothing any more, but no domain may be created under the same id meanwhile: it would be taken for the old one.
 */
void kernel_destroy(struct kernel *k);
/*
 * The domain was suspended and resumed, saved and restored or migrated: call right after hv_domain_migrate, while no call runs in k
 * (one that is held up in user_memory does not). domid is what the domain is called now; grant_version as in kernel_config, 0: as before. The
 * kernel is the same as before, as a real one is: its memory, files, mappings and waiting calls are. What the old hypervisor had of it is gone:
 * - references stay allocated, but the table is set up anew and has no entries: a page shared before is reached by nobody, new shares work;
 * - maps stay, but nothing is mapped in the hypervisor any more: their end is no hypercall. An mmap that was being retried fails with -EINVAL.
 *   Frames that the server holds for processes (hv_frame_get) are the server's matter;
 * - ports are numbers: a notification is sent to the number, which may be no channel now (no error), or another file's; UNBIND forgets
 *   it; until then the same number cannot be bound in that file (-EEXIST). A read waits. Events under way are lost.
 */
void kernel_migrated(struct kernel *k, domid_t domid, unsigned grant_version);
/*
 * Handles pending events. The rule for whoever embeds: hv_hooks.upcall only takes note of the domain; after any kernel_*,
 * gnttab_* or hv_* call that may have raised an upcall has returned, call this for the domains that were noted. A kernel
 * looks at its own pending events at the end of each call into it, so a domain's events to itself need nothing.
 */
void kernel_upcall(struct kernel *k);
domid_t kernel_domid(const struct kernel *k);
const struct kernel_profile *kernel_profile(const struct kernel *k);

/* Deadline of the earliest timer in now()'s unit; UINT64_MAX when none is armed. */
uint64_t kernel_next_timer(const struct kernel *k);
/* Runs what is due at now(). */
void kernel_run_timers(struct kernel *k);

/* Module parameters, as under /sys/module: "xen_gntalloc/limit", "xen_gntdev/limit",
 * "grant_table/free_per_iteration", "xen_privcmd/unrestricted" (0 or 1, of files that are opened from then on). -ENOENT, -ERANGE, -EINVAL (negative, where the parameter is unsigned). */
int kernel_param_get(const struct kernel *k, const char *name, int64_t *value);
int kernel_param_set(struct kernel *k, const char *name, int64_t value);

/* ---- A caller's memory ------------------------------------------------------------------------ */

/*
 * The address space of the process that makes a call. Each function returns 0 or -EFAULT and copies all or nothing.
 * An implementation may let go of the lock that serialises calls while it touches the process's memory (it may fault
 * without end), so other calls may enter the kernel meanwhile. Drivers therefore keep their structures consistent and
 * hold no pointer that another call could free across such a call, as real ones do around copy_from_user.
 */
struct user_memory_ops {
    int (*read)(void *ctx, void *to, uint64_t from, size_t size);
    int (*write)(void *ctx, uint64_t to, const void *from, size_t size);
    /* The device mapping that covers addr, or starts first above it, if the first mapping of the address space that
     * ends above addr is one of ours; else NULL. (find_vma and a check of its type.) NULL function: never. */
    struct vma *(*find_vma)(void *ctx, uint64_t addr);
    /* The device mapping that the process made at addr and has not unmapped there, and which of its pages that is; else NULL.
     * NULL function: never. */
    struct vma *(*vma_at)(void *ctx, uint64_t addr, uint64_t *page);
};
struct user_memory {
    const struct user_memory_ops *ops;
    void *ctx;
};
/* Addresses are plain pointers of this process; find_vma never finds anything. For tests and embedding. */
extern const struct user_memory user_memory_plain;

/* ---- Devices ---------------------------------------------------------------------------------- */

/* A call that could not be answered at once. Returned instead of a result; done is called later, exactly once, from
 * kernel_run_timers, kernel_upcall, kernel_cancel or another call. */
#define KERNEL_PENDING (-529L)     /* the number of EIOCBQUEUED, which user space never sees */

/* Pages of a vma that an ioctl filled. */
struct vma_run;
struct vma_fill {
    struct vma *vma;               /* NULL: none */
    uint64_t first;                /* page */
    struct vma_run *runs;          /* what is behind the pages from there on */
    size_t nr_runs;
};

struct kreq {
    void (*done)(struct kreq *req, long result);
    void *owner;                   /* the server's own */
    struct user_memory mem;        /* must stay usable until done */
    /* the kernel's; zero before the call: */
    struct kernel *kernel;         /* while it is in flight */
    void (*abort)(struct kreq *req, long why);   /* ends what the driver does for it, completes it with why */
    bool interruptible;
    bool in_call;                  /* the call that took it has not returned yet */
    bool completed;
    long result;
    struct vma *vma;               /* of an mmap */
    /* Whatever an ioctl answers: if this is set, the server makes these pages appear before the caller gets the answer. It holds the
     * frames while they may be seen, as those of an mmap (fill.vma->runs has them, too), and frees fill.runs. */
    struct vma_fill fill;
    struct file *file;
    void *buf;                     /* of a read */
    struct kernel_point point;
    void *driver;
    struct kreq *next, **pprev;
};
/* A signal or interrupt arrived for the caller: completes an interruptible request with -EINTR (or a short result);
 * does nothing for one that is not interruptible (in-kernel retries are not), or that is complete. */
void kernel_cancel(struct kreq *req);

/* One open device. Created by kernel_open, freed by kernel_file_close. */
struct file {
    const struct chardev *dev;
    struct kernel *kernel;         /* NULL once the domain is gone: every operation answers -ENODEV */
    uint64_t id;                   /* number in this kernel */
    unsigned flags;                /* O_ACCMODE | O_NONBLOCK as opened; the server keeps O_NONBLOCK current */
    void *priv;                    /* the driver's */
    /* Readiness changed (POLLIN, POLLERR): set by the server, may be NULL. */
    void (*wake)(struct file *file);
    void *owner;                   /* the server's */
    struct file *next, **pprev;    /* kernel's list of open files */
};

/* One mmap of a device, from the call until the last of its pages is gone everywhere. */
struct vma_run {
    uint64_t mfn;                  /* HV_INVALID_MFN: nothing there, an access is SIGBUS */
    uint64_t nr;                   /* consecutive frames */
};
struct kernel_pin;
struct vma {
    /* in: */
    struct file *file;
    uint64_t id;                   /* number in this kernel */
    uint64_t pgoff;                /* offset / 4096 */
    uint64_t nr_pages;
    unsigned prot;                 /* PROT_* as asked for */
    bool shared;                   /* MAP_SHARED and the descriptor may write; a private or demoted one: false */
    /* out, on success: */
    struct vma_run *runs;          /* in order, nr_pages in all; owned by the vma */
    size_t nr_runs;
    unsigned map_prot;             /* protection to map with (a PV grant mapping is readable even if PROT_NONE) */
    bool may_write;                /* mprotect may add PROT_WRITE */
    bool dont_copy;                /* not inherited by fork */
    bool is_private;               /* MAP_PRIVATE: the caller's writes are its own */
    /* the driver's: */
    const struct vma_ops *ops;
    void *priv;
    void *owner;                   /* the server's */
};
struct vma_ops {
    /* Pages first .. first+nr-1 left the address space that made the mapping (partial or whole munmap there); called
     * before close. A driver with a notifier on the address space acts on it, others have NULL. */
    void (*unmap)(struct vma *vma, uint64_t first, uint64_t nr);
    /* The last page of the last piece, in the last process, is gone. Also called when file->kernel is NULL. */
    void (*close)(struct vma *vma);
    /* Holds the memory behind a page and says in pin how to let go of it, see kernel_vma_pin. 0, -EFAULT. */
    int (*pin)(struct vma *vma, uint64_t page, struct kernel_pin *pin);
};

struct chardev_ops {
    int (*open)(struct file *file);
    /* Last reference gone: descriptor closed and every vma closed. Also called when file->kernel is NULL. */
    void (*release)(struct file *file);
    /* Result >= 0, negative errno (-ENOTTY for an unknown command), or KERNEL_PENDING with req taken. */
    long (*ioctl)(struct file *file, unsigned cmd, uint64_t arg, struct kreq *req);
    /* 0, negative errno, or KERNEL_PENDING. VFS checks (length, alignment, access mode) are done. */
    long (*mmap)(struct file *file, struct vma *vma, struct kreq *req);
    /* NULL: -EINVAL. buf is the server's memory; a count of 0 answers 0. */
    long (*read)(struct file *file, void *buf, size_t size, struct kreq *req);
    long (*write)(struct file *file, const void *buf, size_t size);
    unsigned (*poll)(struct file *file);        /* NULL: always readable and writable */
};
struct chardev {
    const char *name;              /* file name under /dev/xen */
    bool async;                    /* sends signals to whoever asks with O_ASYNC: when wake says that there is something to read */
    bool stream;                   /* not seekable for reads and writes */
    const struct chardev_ops *ops;
};
extern const struct chardev *const kernel_chardevs[];      /* NULL-terminated */
const struct chardev *kernel_chardev_find(const char *name);

/* These wrap the ops with what the VFS does, and with the -ENODEV of a dead kernel; call these, not the ops. */
int kernel_open(struct kernel *k, const struct chardev *dev, unsigned flags, struct file **out);
void kernel_file_close(struct file *file);
long kernel_ioctl(struct file *file, unsigned cmd, uint64_t arg, struct kreq *req);
long kernel_read(struct file *file, void *buf, size_t size, struct kreq *req);
long kernel_write(struct file *file, const void *buf, size_t size);
unsigned kernel_poll(struct file *file);
/*
 * offset and length in bytes, mmap_flags as in mmap(2). Checks of the VFS: length 0 EINVAL, offset not aligned EINVAL, no read access
 * EACCES, MAP_SHARED + PROT_WRITE without write access EACCES, overflow EOVERFLOW. On success (now or at req->done) the server
 * owns *out, must make the caller's address space look like its runs, and ends it with kernel_vma_close; until then each
 * vma counts as a reference to the file, so kernel_file_close is called after the last kernel_vma_close. On KERNEL_PENDING
 * *out is set too, and is freed by the kernel if done reports an error.
 */
long kernel_mmap(struct file *file, uint64_t offset, uint64_t length, unsigned prot, unsigned mmap_flags,
                 struct vma **out, struct kreq *req);
void kernel_vma_unmap(struct vma *vma, uint64_t first, uint64_t nr);
void kernel_vma_close(struct vma *vma);

/*
 * Direct I/O on a page of a mapping: whoever models it holds the page meanwhile, as get_user_pages does. A grant mapping is
 * not given back to the hypervisor while a page of it is held, even if it is unmapped; the pin may outlive the vma.
 * -EFAULT (no such page, or not there any more), -ENOMEM, -ENODEV.
 */
int kernel_vma_pin(struct vma *vma, uint64_t page, struct kernel_pin **out);
void kernel_unpin(struct kernel_pin *pin);

/* The next event for this file (of evtchn) finds its ring full, which cannot be had otherwise: the port is lost from the
 * ring and stays masked, reads answer EFBIG until IOCTL_EVTCHN_RESET. */
void kernel_evtchn_lose_next(struct file *file);

/* Checks the kernel's own books against the hypervisor's; as hv_audit. */
unsigned kernel_audit(const struct kernel *k, FILE *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
