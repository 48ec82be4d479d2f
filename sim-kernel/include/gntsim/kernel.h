/* SPDX-License-Identifier: MIT */
/*
 * The guest-kernel model: struct kernel is the kernel of one domain. It has the domain's grant
 * table, event channels and /dev/xen devices. It reaches the machine through hypercalls and frames
 * that the guest sees, and in no other way.
 *
 * The model is not thread-safe: its embedder makes one call at a time for all kernels of a machine.
 * The one exception is struct user_memory, below. Nothing in the model sleeps: where a real kernel
 * waits, there is a request (struct kreq) or a timer (kernel_run_timers).
 *
 * Behaviour follows Linux' drivers/xen and the kernel's profile. Errors are the negative errno
 * values that the driver would return.
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

/* ---- Profiles -------------------------------------------------------------------------------- */

/* What the kernel does with GNTST_eagain when it maps a grant. */
enum kernel_eagain {
    KERNEL_EAGAIN_RETRY,      /* retried in the kernel, 1, 2 .. 255 ms apart; then GNTST_bad_page */
    KERNEL_EAGAIN_TO_USER,    /* mmap fails with EAGAIN; it can be repeated on the same offset */
};

/* What differs between real kernels, as data. docs/reference.md has the table for users. */
struct kernel_profile {
    const char *name;               /* "pv", "pvh", "legacy" */
    const char *describes;          /* one line for people */
    bool auto_translated;           /* needs a domain created so */
    enum kernel_eagain map_eagain;
    bool map_once;                  /* an index can be mmapped once in its life */
    bool gntalloc_waits_for_peer;   /* true: pages that the peer still maps count against the limit,
                                     * and the next ALLOC or DEALLOC retries them. false: a timer
                                     * frees them later */
    bool event_before_unmap;        /* unmap notification: the event first, then byte and unmap */
    bool has_grant_copy;
    bool notify_checks_port;        /* SET_UNMAP_NOTIFY refuses a port not bound through evtchn */
    bool gntdev_limit_is_total;     /* the limit bounds all maps of the domain (ENOMEM), not one
                                     * request */
    bool has_bind_static;           /* IOCTL_EVTCHN_BIND_STATIC exists */
    bool privcmd_restricted;        /* an unprivileged domain's privcmd files are restricted from
                                     * the start (XSA-482) */
    uint32_t gntdev_limit;          /* module parameter at start: pages per request */
    int32_t gntalloc_limit;         /* module parameter at start: pages in the domain */
    uint32_t deferred_per_run;      /* deferred frees that the kernel tries per second */
};
extern const struct kernel_profile kernel_profile_pv, kernel_profile_pvh, kernel_profile_legacy;
/* The profile of that name, NULL if unknown, and the NULL-terminated list of all. */
const struct kernel_profile *kernel_profile_find(const char *name);
extern const struct kernel_profile *const kernel_profiles[];

/* ---- Faults and trace ------------------------------------------------------------------------ */

/* What happens in a kernel. The args of its point are in brackets. */
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
    KERNEL_UNMAP,        /* [first page, pages]: the kernel gives back a map's grants */
    KERNEL_NOTIFY,       /* [UNMAP_NOTIFY_*, port]: an unmap notification is due */
    KERNEL_EVENT,        /* [port]: the kernel delivers an event to the port's handler */
    KERNEL_DEFER,        /* [grants that wait]: the tick that ends deferred grants */
    KERNEL_NR_OPS,
};

struct kernel_point {
    enum kernel_op op;
    struct kernel *kernel;
    uint64_t call;                         /* the device call's number in this kernel; 0: none */
    const struct chardev *dev;             /* of the file, if there is one */
    uint64_t file, vma;                    /* numbers in this kernel; 0: none */
    uint64_t args[4];
    const void *data;
    size_t size;
    int64_t tag;                           /* the hooks' own, for the caller; 0 at first */
    bool nested;                           /* called from within another call into this kernel
                                            * (file->wake) */
    bool can_wait;                         /* may be answered later: ioctl, mmap, read without
                                            * O_NONBLOCK */
    /* the kernel's: */
    bool hold;
    uint64_t hold_token, hold_ns;
};

enum kernel_action {
    KERNEL_GO_ON,
    KERNEL_FAIL,         /* a call that can fail: it answers value, without the driver */
    KERNEL_HOLD,         /* ioctl, mmap, read: begins ns later; with ns 0, at kernel_resume of the
                          * token */
    KERNEL_DROP,         /* notify, event: does not happen; defer: does nothing this time */
    KERNEL_DOUBLE,       /* notify, event: happens twice */
    KERNEL_LATE,         /* notify (its event only), event, defer, unmap: happens ns later */
};
struct kernel_verdict {
    enum kernel_action action;
    long value;                            /* of KERNEL_FAIL: a negative errno */
    uint64_t ns, token;                    /* of KERNEL_HOLD and KERNEL_LATE; ns in nanoseconds of
                                            * the machine's time */
};

/* A page that the kernel grants: to whom, which, and GTF_* flags. */
struct kernel_grant {
    domid_t to;
    uint64_t frame;
    uint16_t flags;
};

enum kernel_user { KERNEL_USER_READ, KERNEL_USER_WRITE, KERNEL_USER_FIND_VMA, KERNEL_USER_VMA_AT };

/*
 * Calls out of the model, with the kernel's ctx. Every pointer may be NULL. inject may destroy
 * other domains and their kernels. Apart from that no hook may call back.
 */
struct kernel_hooks {
    /*
     * Asked before each of the above, after enter, except for KERNEL_VMA_CLOSE, KERNEL_CANCEL and
     * KERNEL_PARAM.
     */
    struct kernel_verdict (*inject)(void *ctx, struct kernel_point *point);
    /*
     * enter: a call from outside begins. done: its result, perhaps much later. What happens in the
     * kernel itself has only done, before its consequences; result is then the action chosen.
     */
    void (*enter)(void *ctx, struct kernel_point *point);
    void (*done)(void *ctx, const struct kernel_point *point, long result);
    /*
     * A call accessed its caller's memory at addr: size bytes of data were read or written, or vma
     * was found. rc: 0 or -EFAULT.
     */
    void (*user)(void *ctx, const struct kernel_point *point, enum kernel_user op, uint64_t addr,
                 const void *data, size_t size,
                 const struct vma *vma, int rc);
    /* The kernel wrote a grant entry, or ended one: grant is NULL. */
    void (*grant)(void *ctx, grant_ref_t ref, const struct kernel_grant *grant);
};
/* The device call that runs now, for hooks of the hypervisor. NULL: none runs. */
struct kernel_point *kernel_current(const struct kernel *k);
/*
 * Makes the running call answer ns nanoseconds after it ends; with ns 0, when kernel_resume is
 * called with the token. False: it is no call that can wait.
 */
bool kernel_hold_answer(struct kernel *k, uint64_t token, uint64_t ns);
/* Lets the call go on that token holds. 0, -ENOENT. */
int kernel_resume(struct kernel *k, uint64_t token);
/* Whether token holds a call. */
bool kernel_holds(const struct kernel *k, uint64_t token);
/*
 * What waits for a timer: nothing but what recurs for ever, a late event or unmapping, or a call
 * that time will answer.
 */
enum kernel_waiting { KERNEL_NOTHING_WAITS, KERNEL_SOMETHING_LATE, KERNEL_CALL_WAITS };
enum kernel_waiting kernel_waiting(const struct kernel *k);

/* ---- Life ------------------------------------------------------------------------------------ */

struct kernel_config {
    struct hv *hv;
    domid_t domid;                         /* it exists already, see kernel_domain_config */
    const struct kernel_profile *profile;  /* NULL: kernel_profile_pv */
    /* The monotonic time of the machine in nanoseconds. NULL: time stands at 0. */
    uint64_t (*now)(void *ctx);
    /* The kernel's next deadline (kernel_next_timer) became earlier. May be NULL. */
    void (*timer_changed)(void *ctx);
    void (*log)(void *ctx, const char *line);   /* a line that a real kernel would print; may be
                                                 * NULL */
    void *ctx;
    bool privcmd_unrestricted;             /* boot parameter xen_privcmd.unrestricted */
    unsigned grant_version;                /* boot parameter grant_table.version: 1 or 2; 0: the
                                            * kernel chooses (1) */
    const struct kernel_hooks *hooks;      /* NULL: none, which costs nothing to speak of */
};

/*
 * Fills config so that hv_domain_create makes a domain for a kernel of this profile.
 *
 * space is what a PV domain's hypercalls and its kernel share to place host mappings. Create one
 * per domain, before the domain, and hand it to kernel_create, after which kernel_destroy frees it.
 * NULL: out of memory. Call kernel_pv_space_destroy only if kernel_create never took the space.
 */
struct kernel_pv_space;
struct kernel_pv_space *kernel_pv_space_create(void);
void kernel_pv_space_destroy(struct kernel_pv_space *space);
void kernel_domain_config(struct hv_domain_config *config, const struct kernel_profile *profile,
                          struct kernel_pv_space *space);

/*
 * Boots a kernel: sets up its grant table and event channels. The caller frees *out with
 * kernel_destroy; on success it takes space. 0, -ENOMEM, -ESRCH (no such domain, or it is dying),
 * -EINVAL (the domain is not of the profile's kind, or a PV kernel has no space).
 */
int kernel_create(struct kernel **out, const struct kernel_config *config,
                  struct kernel_pv_space *space);
/*
 * Frees a kernel whose domain is gone. Call it right after hv_domain_destroy, or at the end of the
 * machine. It makes no hypercall and sends no notification or event. Requests in flight end with
 * -ENODEV. Files must not be used again, but each one must still be closed with kernel_file_close.
 *
 * Other calls into this kernel may be held up in user_memory meanwhile. Each ends with -ENODEV when
 * it goes on, and the last one frees struct kernel. Between hv_domain_destroy and this call the
 * kernel notices that its domain is gone and does nothing. Create no domain with the same id in
 * between: the kernel would take it for its own.
 */
void kernel_destroy(struct kernel *k);
/*
 * Tells a kernel that its domain was suspended and resumed, saved and restored, or migrated. Call
 * it right after hv_domain_migrate, while no call runs in k (one that is held up in user_memory
 * does not run). domid is the domain's new id. grant_version is as in kernel_config; 0 keeps the
 * present one.
 *
 * The kernel goes on, as a real one does: memory, files, mappings and waiting calls stay. What the
 * old hypervisor had of it is gone:
 *
 * - References stay allocated, but the table is new and empty. Nobody reaches a page that was
 *   shared before; new shares work.
 * - Maps stay, but the hypervisor has no mapping any more, so their end is no hypercall. An mmap
 *   that was being retried fails with -EINVAL. Frames that the server holds for processes
 *   (hv_frame_get) are the server's matter.
 * - Ports are mere numbers. A notification goes to the number, which may be no channel now (no
 *   error) or another file's. UNBIND forgets it; until then a bind of the same number in that file
 *   is -EEXIST. A read waits. Events under way are lost.
 */
void kernel_migrated(struct kernel *k, domid_t domid, unsigned grant_version);
/*
 * Tells a kernel where its connection to the store is, as a toolstack's start_info or HVM
 * parameters do: the page at gfn, which the builder granted to the store's domain, and the unbound
 * port. Call it after kernel_create, and again after kernel_migrated. /dev/xen/xenbus opens from
 * then on. The kernel may use the page at once, so the store resets it before. -ENODEV, -ENOENT
 * (no page), -EISCONN, -EINVAL (no such port number), -ENOMEM.
 */
int kernel_connect_store(struct kernel *k, uint64_t gfn, evtchn_port_t port);
/*
 * Tells a kernel that its store ended. What was asked is asked again, watches are set again and
 * open transactions end with EAGAIN once there is another one: after the next kernel_connect_store
 * with the same page and port, or for a privileged kernel, whose page is its own, when it
 * is served.
 */
void kernel_lose_store(struct kernel *k);
/*
 * Handles pending events. The embedder's rule: hv_hooks.upcall only notes the domain. When a
 * kernel_*, gnttab_* or hv_* call that may have raised upcalls has returned, call this for each
 * noted domain. A kernel looks for its own events at the end of each call into it, so a domain's
 * events to itself need nothing.
 */
void kernel_upcall(struct kernel *k);
/* The domain's id and the kernel's profile. */
domid_t kernel_domid(const struct kernel *k);
const struct kernel_profile *kernel_profile(const struct kernel *k);

/* The deadline of the earliest timer in nanoseconds of now(). UINT64_MAX: none is armed. */
uint64_t kernel_next_timer(const struct kernel *k);
/* Runs all timers that are due at now(). */
void kernel_run_timers(struct kernel *k);

/*
 * Read and write a module parameter, as under /sys/module: "xen_gntalloc/limit",
 * "xen_gntdev/limit", "grant_table/free_per_iteration", "xen_privcmd/unrestricted" (0 or 1, for
 * files that are opened later). 0, -ENOENT, -ERANGE, -EINVAL (a negative value for an unsigned
 * parameter).
 */
int kernel_param_get(const struct kernel *k, const char *name, int64_t *value);
int kernel_param_set(struct kernel *k, const char *name, int64_t value);

/* ---- A caller's memory ----------------------------------------------------------------------- */

/*
 * The address space of the process that makes a call. Each function copies all and returns 0, or
 * copies nothing and returns -EFAULT.
 *
 * An implementation may release the lock that serialises calls while it touches the process's
 * memory, because such an access may fault without end. So other calls may enter the kernel
 * meanwhile. Drivers therefore keep their structures consistent and keep no pointer that another
 * call could free, as real ones do around copy_from_user.
 */
struct user_memory_ops {
    int (*read)(void *ctx, void *to, uint64_t from, size_t size);
    int (*write)(void *ctx, uint64_t to, const void *from, size_t size);
    /*
     * Looks at the first mapping of the address space that ends above addr. Returns it if it is a
     * device mapping of ours, else NULL. (Linux' find_vma, and a check of the type.) A NULL
     * function finds nothing.
     */
    struct vma *(*find_vma)(void *ctx, uint64_t addr);
    /*
     * The device mapping that the process made at addr and has not unmapped there, with the page's
     * number in *page; else NULL. A NULL function finds nothing.
     */
    struct vma *(*vma_at)(void *ctx, uint64_t addr, uint64_t *page);
};
struct user_memory {
    const struct user_memory_ops *ops;
    void *ctx;
};
/* Addresses are pointers of this process, and find_vma finds nothing. For tests and embedding. */
extern const struct user_memory user_memory_plain;

/* ---- Devices --------------------------------------------------------------------------------- */

/*
 * Returned instead of a result by a call that the kernel will answer later. It calls req->done
 * exactly once, from kernel_run_timers, kernel_upcall, kernel_cancel or another call.
 */
#define KERNEL_PENDING (-529L)     /* the number of EIOCBQUEUED, which user space never sees */

/* Pages of a vma that an ioctl filled. */
struct vma_run;
struct vma_fill {
    struct vma *vma;               /* NULL: none */
    uint64_t first;                /* number of the first page */
    struct vma_run *runs;          /* the frames behind the pages from there on */
    size_t nr_runs;
};

/* A call that may be answered later. The caller owns it and keeps it until done. */
struct kreq {
    void (*done)(struct kreq *req, long result);
    void *owner;                   /* the server's own */
    struct user_memory mem;        /* usable until done */
    /* the kernel's; zero before the call: */
    struct kernel *kernel;         /* while it is in flight */
    void (*abort)(struct kreq *req, long why);   /* ends what the driver does for it, completes it
                                                  * with why */
    bool interruptible;
    bool in_call;                  /* the call that took it has not returned yet */
    bool completed;
    long result;
    struct vma *vma;               /* of an mmap */
    /*
     * If an ioctl sets this, whatever it answers, the server makes these pages appear before the
     * caller gets the answer. The server holds the frames while they may be seen, like those of an
     * mmap (fill.vma->runs has them, too), and frees fill.runs.
     */
    struct vma_fill fill;
    struct file *file;
    void *buf;                     /* of a read */
    struct kernel_point point;
    void *driver;
    struct kreq *prev, *next;
};
/*
 * Tells that a signal arrived for the caller. Completes an interruptible request with -EINTR, or
 * with a short result. Does nothing for a complete request, or for one that cannot be interrupted,
 * like retries in the kernel.
 */
void kernel_cancel(struct kreq *req);

/* One open device. Created by kernel_open, freed by kernel_file_close. */
struct file {
    const struct chardev *dev;
    struct kernel *kernel;         /* NULL: the domain is gone, and every operation answers
                                    * -ENODEV */
    uint64_t id;                   /* number in this kernel */
    unsigned flags;                /* O_ACCMODE | O_NONBLOCK; the server keeps O_NONBLOCK current */
    void *priv;                    /* the driver's */
    /* The server's: readiness changed (POLLIN, POLLERR). May be NULL. */
    void (*wake)(struct file *file);
    void *owner;                   /* the server's */
    struct file *prev, *next;    /* kernel's list of open files */
};

/* Consecutive frames of a mapping. */
struct vma_run {
    uint64_t mfn;                  /* the first; HV_INVALID_MFN: nothing, so an access is SIGBUS */
    uint64_t nr;                   /* how many */
};
struct kernel_pin;
/* One mmap of a device, from the call until the last of its pages is gone everywhere. */
struct vma {
    /* in: */
    struct file *file;
    uint64_t id;                   /* number in this kernel */
    uint64_t pgoff;                /* offset in pages of 4096 bytes */
    uint64_t nr_pages;
    unsigned prot;                 /* PROT_* as asked for */
    bool shared;                   /* MAP_SHARED, and the descriptor may write */
    /* out, on success: */
    struct vma_run *runs;          /* in order, nr_pages in all; the vma owns them */
    size_t nr_runs;
    unsigned map_prot;             /* to map with (a PV grant mapping is readable even if
                                    * PROT_NONE) */
    bool may_write;                /* mprotect may add PROT_WRITE */
    bool own;                      /* the domain's own memory, which hv_hooks.shows may move */
    bool dont_copy;                /* fork does not inherit it */
    bool is_private;               /* MAP_PRIVATE: the caller's writes are its own */
    /* the driver's: */
    const struct vma_ops *ops;
    void *priv;
    void *owner;                   /* the server's */
};
struct vma_ops {
    /*
     * Pages first .. first+nr-1 left the address space that made the mapping, by a partial or whole
     * munmap there. Comes before close. A driver with a notifier on the address space acts on it;
     * others have NULL.
     */
    void (*unmap)(struct vma *vma, uint64_t first, uint64_t nr);
    /*
     * The last page of the last piece is gone in the last process. Comes also when file->kernel is
     * NULL. NULL: there is nothing to free.
     */
    void (*close)(struct vma *vma);
    /*
     * Holds the memory behind a page, and says in pin how to release it (kernel_vma_pin). 0,
     * -EFAULT. NULL: no page of the kernel's own is behind it (-EFAULT).
     */
    int (*pin)(struct vma *vma, uint64_t page, struct kernel_pin *pin);
};

struct chardev_ops {
    int (*open)(struct file *file);             /* 0 or a negative errno. NULL: 0 */
    /*
     * The last reference is gone: the descriptor and every vma are closed. Comes also when
     * file->kernel is NULL.
     */
    void (*release)(struct file *file);
    /*
     * A result >= 0, a negative errno (-ENOTTY: unknown command), or KERNEL_PENDING, having taken
     * req.
     */
    long (*ioctl)(struct file *file, unsigned cmd, uint64_t arg, struct kreq *req);
    /*
     * 0, a negative errno, or KERNEL_PENDING. The VFS's checks (length, alignment, access mode) are
     * done.
     */
    long (*mmap)(struct file *file, struct vma *vma, struct kreq *req);
    /*
     * Bytes read or written, a negative errno, or KERNEL_PENDING. NULL: -EINVAL. buf is the
     * server's memory; size is not 0.
     */
    long (*read)(struct file *file, void *buf, size_t size, struct kreq *req);
    long (*write)(struct file *file, const void *buf, size_t size);
    unsigned (*poll)(struct file *file);        /* NULL: always readable and writable */
};
/* The directories in which a device has a name. */
enum chardev_place {
    CHARDEV_IN_DEV,                /* /dev/xen */
    CHARDEV_IN_BOTH,
    CHARDEV_IN_PROC,               /* /proc/xen */
};
struct chardev {
    const char *name;              /* file name under /dev/xen or /proc/xen */
    enum chardev_place place;
    bool initial_only;             /* privileged domains have it, and no other */
    unsigned mode;                 /* of a new node; 0: 0600 */
    bool async;                    /* with O_ASYNC, sends signals when wake reports something to
                                    * read */
    bool stream;                   /* reads and writes cannot seek */
    const struct chardev_ops *ops;
};
/* All devices, NULL-terminated, and the one of that name; NULL: there is none. */
extern const struct chardev *const kernel_chardevs[];
const struct chardev *kernel_chardev_find(const char *name);
/* Whether the kernel has the device, in /dev/xen or (in_proc) in /proc/xen. */
bool kernel_has_chardev(const struct kernel *k, const struct chardev *dev, bool in_proc);

/*
 * The calls on devices: the ops with what the VFS does around them, and -ENODEV for a dead kernel.
 * Call these, not the ops. Each returns what the system call would: a result >= 0 or a negative
 * errno; with a req, perhaps KERNEL_PENDING.
 */
/*
 * Opens dev with the O_* flags. The caller owns *out and closes it. 0, -ENOMEM, -ENODEV, and the
 * driver's errors.
 */
int kernel_open(struct kernel *k, const struct chardev *dev, unsigned flags, struct file **out);
/* The descriptor's last close. Frees file; call it after the last kernel_vma_close. */
void kernel_file_close(struct file *file);
long kernel_ioctl(struct file *file, unsigned cmd, uint64_t arg, struct kreq *req);
/*
 * buf is the server's memory, usable until done; size is in bytes. -EBADF: the file was not opened
 * for it.
 */
long kernel_read(struct file *file, void *buf, size_t size, struct kreq *req);
long kernel_write(struct file *file, const void *buf, size_t size);
/* POLLIN, POLLOUT, POLLERR. */
unsigned kernel_poll(struct file *file);
/*
 * Maps length bytes from offset on; prot and mmap_flags are mmap(2)'s. On success, now or at
 * req->done, the server owns *out. It makes the caller's address space look like its runs, and ends
 * it with kernel_vma_close. Each vma counts as a reference to the file. On KERNEL_PENDING *out is
 * set, too; if done reports an error, the kernel frees it.
 *
 * The VFS's checks: -EINVAL (length 0, offset not aligned), -EACCES (no read access, or MAP_SHARED
 * and PROT_WRITE without write access), -EOVERFLOW, -ENOMEM (length too large). Then the driver's
 * errors.
 */
long kernel_mmap(struct file *file, uint64_t offset, uint64_t length, unsigned prot,
                 unsigned mmap_flags,
                 struct vma **out, struct kreq *req);
/* Tells the driver that nr pages from first on left the address space that made the mapping. */
void kernel_vma_unmap(struct vma *vma, uint64_t first, uint64_t nr);
/* Tells that the last piece is gone everywhere, and frees vma. */
void kernel_vma_close(struct vma *vma);

/*
 * Holds a page of a mapping as direct I/O does with get_user_pages; the caller ends *out with
 * kernel_unpin. While a page is held, the kernel does not give its grant mapping back to the
 * hypervisor, even if it is unmapped. The pin may outlive the vma. 0, -EFAULT (no such page, or it
 * is gone), -ENOMEM, -ENODEV.
 */
int kernel_vma_pin(struct vma *vma, uint64_t page, struct kernel_pin **out);
void kernel_unpin(struct kernel_pin *pin);

/*
 * Makes the next event for this evtchn file find its ring full, which nothing else can cause. The
 * ring loses the port, which stays masked, and reads answer EFBIG until IOCTL_EVTCHN_RESET.
 */
void kernel_evtchn_lose_next(struct file *file);

/*
 * Compares the kernel's books with the hypervisor's. Writes a line per violation to out, or only
 * counts (NULL). Returns their number.
 */
unsigned kernel_audit(const struct kernel *k, FILE *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
