/* SPDX-License-Identifier: MIT */
/* An open device, as one part of the machine tells another one of it. */
#ifndef GNTSIM_MACHINE_MACHINE_FILE_H
#define GNTSIM_MACHINE_MACHINE_FILE_H

struct domain;
struct file;

/* An open device, for another part than the one that keeps it. Needs the lock. */
struct machine_file {
    struct file *kernel;
    struct domain *domain;
    void *owner;                 /* of the reference */
    void (*put)(void *owner);    /* gives it back */
    void (*mapping_ended)(struct file *file);    /* for maps_add: the same for a mapping's */
};

#endif
