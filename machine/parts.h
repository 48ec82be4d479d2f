/* SPDX-License-Identifier: MIT */
/*
 * The parts of a machine: ways to its devices, guests without programs, kernels elsewhere. The
 * machine tells its parts what happens and keeps their state. It knows none of them by name.
 */
#ifndef GNTSIM_MACHINE_PARTS_H
#define GNTSIM_MACHINE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <gntsim/kernel.h>

#include "machine_file.h"

struct domain;
struct file;
struct witness;
struct machine;
struct mapping;
struct machine_config;
struct machine_stack;
struct process_saying;
struct trace_store;

/* What the machine asks and tells. A function that a part does not need is NULL. Those of a
 * domain have the lock. */
struct machine_part {
    /* of its state in the machine and in each domain; both begin as zeros. 0: none */
    size_t machine_size, domain_size;
    bool is_store;               /* domains are built for a store (builder.h) */
    bool connects_kernels;       /* it says when a kernel's store is there (machine_connect_store);
                                  * but domain 0's is there at once */

    /* Before the models, in a process with one thread. *memory_fd: a directory for the memory
     * (maps.h), to be set by a part that offers one if it is still -1. Negative errno after a
     * message, and nothing is left. */
    int (*prepare)(struct machine *m, int *memory_fd);
    /* The models and the loops are there. On an error the rest of what was started is ended as
     * at the machine's end. */
    int (*start)(struct machine *m);

    /* The domain's state is there, and nothing else of it. */
    void (*domain_created)(struct domain *d);
    /* Its kernel runs. */
    void (*domain_started)(struct domain *d);
    /* It goes on under another id (machine_domain_suspend); the kernel has not been told yet. */
    void (*domain_migrated)(struct domain *d);
    /* The hypervisor destroyed it; its kernel is about to go. */
    void (*domain_destroyed)(struct domain *d);
    /* The kernel is gone; its programs get SIGKILL. */
    void (*kill)(struct domain *d);
    /* Without the lock: waits until those that were sent SIGKILL are gone (for some seconds at
     * most). */
    void (*wait_killed)(struct machine *m);
    /* The last that is heard of a domain. */
    void (*forget)(struct domain *d);

    /* With the lock, in a hypercall: domain id sent an event to a port to which nobody is bound. */
    void (*unheard)(struct machine *m, domid_t id, evtchn_port_t port);
    /* With the lock, in a hypercall: an event waits at a port that domain id has masked. */
    void (*masked)(struct machine *m, domid_t id, evtchn_port_t port);
    /* With the lock, which was just taken: what programs did without waiting for the machine
     * happens now, before anything else does. */
    void (*catch_up)(struct machine *m);
    /* With the lock: while an operation is settled, after each time that something asked for
     * attention (m->attention). */
    void (*attend)(struct machine *m);
    /* With the lock: a request of a store was answered, with an errno >= 0. */
    void (*store_over)(struct machine *m, const struct trace_store *store, int error);
    /* With the lock, within a hypercall: it, or an element of its batch, is about to be done; or it
     * is done (trace_listen). */
    void (*at_hypercall)(struct machine *m);
    void (*hypercall_over)(struct machine *m, const struct hv_point *point, long result);
    /* With the lock: an operation is over, or what comes of it is needed now. For what may not
     * be done within a hypercall. */
    void (*settle)(struct machine *m);
    /* A call into the domain's kernel begins, accessed its caller's memory, or is over: as struct
     * kernel_hooks says. */
    void (*call_begins)(struct domain *d, const struct kernel_point *point);
    void (*call_memory)(struct domain *d, const struct kernel_point *point, enum kernel_user op,
                        uint64_t addr, const void *data, size_t size);
    void (*call_over)(struct domain *d, const struct kernel_point *point, long result);
    /* With the lock: an actor gave a page back to its kernel, which a peer still has mapped. */
    void (*access_ended)(struct domain *d, grant_ref_t ref);
    /* Without the lock: see machine_witness. */
    const struct witness *(*witness)(struct machine *m, pid_t tid, const struct machine_stack *at);
    /* With the lock: the mapping is at this address of its process, or will be in a moment. */
    void (*mapping_placed)(struct machine *m, const struct vma *vma, uint64_t addr);
    /* Without the lock: an ioctl of the thread is about to be answered. It may wait. */
    void (*answer_waits)(struct machine *m, pid_t tid);
    /* Without the lock: returns when what ended processes had open is closed, within seconds. */
    void (*see_closed)(struct machine *m);
    /* Without the lock: a process says something about itself (machine_process_says). */
    int64_t (*process_says)(struct machine *m, const struct process_saying *saying);

    /* Without the lock: the place of the domain that a process is in by this way, -1 if in none. */
    int (*domain_of)(struct machine *m, pid_t pid);
    /* With the lock: the open device that a descriptor stands for, of which stat(2) says this;
     * with a reference. False: none. */
    bool (*find_file)(struct machine *m, dev_t dev, ino_t ino, struct machine_file *file);

    /* With the lock: whether the process that has the mapping can be shown other pages. If so, its
     * writes to this page wait from now on. */
    bool (*can_follow)(struct machine *m, const struct mapping *mapping, uint64_t page);
    /* Without the lock: pages are not shown yet as they are to be (follow.h), or a helper answered.
     * Returns when they are. */
    void (*follow)(struct machine *m);
    /* The programs are gone. Ends whatever its loops wait for. */
    void (*stop)(struct machine *m);
    /* With the lock, after the loops and the mappings ended: closes the files that are still
     * open. */
    void (*close_all)(struct machine *m);
    void (*destroy)(struct machine *m);

    /* In the attendant: the server was killed, but something may hold up its end. */
    void (*bereaved)(struct machine *m);
    /* Then: it is gone. Removes what it left; and last, serves programs that go on. */
    void (*clear_up)(struct machine *m);
    void (*outlive)(struct machine *m);
};
#define MACHINE_MAX_PARTS 8

/* Tells every part that wants to know. */
#define PARTS_TELL(m, what, ...) \
    do { \
        for (unsigned nr_ = 0; nr_ < (m)->nr_parts; nr_++) \
            if ((m)->parts[nr_]->what) \
                (m)->parts[nr_]->what(__VA_ARGS__); \
    } while (0)

/* A part's state. NULL: the machine has no such part. */
void *part_of_machine(const struct machine *m, const struct machine_part *part);
void *part_of_domain(const struct domain *d, const struct machine_part *part);

/* Adds and prepares the parts that the machine is configured with. */
int parts_prepare(struct machine *m, const struct machine_config *config, int *memory_fd);
int parts_start(struct machine *m);
void parts_free(struct machine *m);
/* A new domain's states. 0, -ENOMEM. */
int parts_domain_create(struct domain *d);
void parts_domain_free(struct domain *d);

#endif
