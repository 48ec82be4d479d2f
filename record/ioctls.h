/* SPDX-License-Identifier: MIT */
/* The arguments of the devices' ioctls as JSON: inputs and outputs. */
#ifndef GNTSIM_RECORD_IOCTLS_H
#define GNTSIM_RECORD_IOCTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include <gntsim/ioctls.h>

/* Whoever's memory the arguments are in. All or nothing: 0, -EFAULT. */
struct memory {
    int (*read)(void *ctx, void *to, uint64_t from, size_t size);
    int (*write)(void *ctx, uint64_t to, const void *from, size_t size);
    void *ctx;
};

/* What is known of a command; any of a Xen device has a row. NULL: it is none of theirs. */
const struct kernel_ioctl *ioctl_find(const char *device, unsigned request);
/* By its name, as in a record. NULL if unknown. */
const struct kernel_ioctl *ioctl_by_name(const char *device, const char *name, unsigned *request);
size_t ioctl_size(const struct kernel_ioctl *row, json_object *in);
/* Whether it may have answered something, of its first elements, when it fails. */
bool ioctl_fails_half_way(const struct kernel_ioctl *row);

/* An object of the fields that go in or come out, NULL if they cannot be read. */
json_object *ioctl_get(const struct kernel_ioctl *row, const struct memory *memory, uint64_t arg,
                       enum kernel_direction direction);
/* Writes the fields of an object. 0, -EFAULT, -EINVAL (one is missing, or of another type). */
int ioctl_put(const struct kernel_ioctl *row, const struct memory *memory, uint64_t arg,
              json_object *fields, enum kernel_direction direction);

/* Bytes as hexadecimal text. */
json_object *json_bytes(const void *bytes, size_t size);
/* The bytes of a text, at most size; how many there are, -1: it is none. */
long bytes_of_json(json_object *text, void *bytes, size_t size);

#endif
