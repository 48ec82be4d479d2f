/* SPDX-License-Identifier: MIT */
/*
 * The kinds of devices that a toolstack attaches, as data: paths, keys and default values, in the
 * order in which libxl writes them. A new kind is a new row.
 */
#ifndef GNTSIM_STORE_DEV_DEVICE_KINDS_H
#define GNTSIM_STORE_DEV_DEVICE_KINDS_H

#include <stdbool.h>
#include <stddef.h>

/* In whose directory a key stands, and what else is true of it. */
#define KEY_FRONT    1u
#define KEY_BACK     2u
#define KEY_READONLY 4u  /* in the front end's directory, but the back end's domain owns it */
#define KEY_FIXED    8u  /* whoever attaches the device cannot choose the value */
#define KEY_REQUIRED 16u /* whoever attaches the device must give the value */
#define KEY_OPTIONAL 32u /* the key is missing unless a value is given */
#define KEY_PV       64u /* PV guests only */

/*
 * A '$' in a value stands for: $N the front end's domain, $B the back end's, $I the device's id, $D
 * the disk's name (xvda), $M a MAC address made of domain and id, $F and $P the two directories.
 */
struct device_key {
    const char *key;                /* NULL: the end of the list */
    const char *value;
    unsigned flags;
};

struct device_kind {
    const char *name;               /* NULL: the end of the table */
    const char *type;               /* a kind with several back ends: which one; the first is the
                                       default */
    const char *front, *back;       /* directories' names; back NULL: no back end's directory */
    unsigned (*id)(unsigned nth);   /* of the nth device, from 0, if nobody chooses one */
    const struct device_key *keys;
};
extern const struct device_kind device_kinds[];

/* type NULL: the default. NULL: there is none. */
const struct device_kind *device_kind_find(const char *name, const char *type);
/* A key whose value can be given; NULL: there is none. */
const struct device_key *device_kind_key(const struct device_kind *kind, const char *key);

#endif
