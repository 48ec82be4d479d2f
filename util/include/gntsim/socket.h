/* SPDX-License-Identifier: MIT */
/*
 * What a program and the machine say to each other over a domain's socket: a Unix socket of type SOCK_SEQPACKET, named by SOCK_ENV.
 * A message comes in one packet if it fits into SOCK_MAX_PACKET bytes, else in several. (Packets, because a thread that waits for bytes of a stream
 * is woken by its peer's taking what it sent, too: twice as many wake-ups for a round trip.)
 *
 * One connection is one open device, as a descriptor of a device file is. It begins with a SOCK_OPEN and ends when its last
 * copy, in whatever process, is closed. Each request gets one reply, in order; a client has one request under way at a
 * time. Numbers are the machine's own (both ends are processes of one host), errors negative errno values.
 *
 * The caller's memory, as far as a driver may look at it, travels with the request as ranges of addresses; what the driver
 * wrote comes back with the reply. An access beyond them is the driver's EFAULT.
 *
 * An evtchn device has an event socket, too, whose descriptor comes with the reply to SOCK_OPEN. It stands for the device's
 * descriptor: readable when an event is pending, and reading gives the port numbers, as from the device. What is written there is
 * written to the device; with a descriptor beside SOCK_EVENTS_ATTACH it makes a connection of that.
 *
 * Anything else, and descriptors that are not asked for, make the machine drop the peer.
 */
#ifndef GNTSIM_SOCKET_H
#define GNTSIM_SOCKET_H

#include <assert.h>
#include <stdint.h>

/* Environment: path of the domain's socket. Set, it is how the libraries reach their devices. */
#define SOCK_ENV "GNTSIM_SOCKET"
/*
 * Environment: set where the domain's device files are, too. A library that cannot reach the socket opens those (a process that changed its
 * root or its user), and has the machine know the descriptors that stand for devices (SOCK_OPEN_KNOWN), so that system calls on them work.
 */
#define SOCK_FILES_ENV "GNTSIM_DEVICE_FILES"
/* The machine is asked about the calls on descriptors from here on. */
#define SOCK_FILES_MIN_FD 512

#define SOCK_MAGIC   0x6d69736eu
#define SOCK_VERSION 2u
#define SOCK_MAX_MESSAGE (16u << 20)
#define SOCK_MAX_PACKET  (16u << 10)      /* none is longer */

enum sock_op {
    SOCK_OPEN = 1,               /* struct sock_open; once, first */
    SOCK_ATTACH,                 /* a header, with the descriptor of another such socket: a connection to the same open device.
                                    The reply comes there */
    SOCK_IOCTL,                  /* struct sock_ioctl */
    SOCK_MMAP,                   /* struct sock_mmap */
    SOCK_IOCTL_MMAP,             /* struct sock_ioctl_mmap: an ioctl, and if it succeeds an mmap of the index that it left in its argument */
    SOCK_WRITE,                  /* a header and the bytes to be written to the device */
    SOCK_NR_OPS
};

struct sock_header {
    uint32_t size;               /* of the whole message */
    uint32_t op;
};

/* The reply comes with a descriptor of another connection to the device. It stands for the device's descriptor, and the machine, which
 * made it, finds the device by it wherever it is. (Event sockets always come so.) */
#define SOCK_OPEN_KNOWN 0x80000000u

struct sock_open {
    struct sock_header header;
    uint32_t magic, version;
    uint32_t flags;              /* O_RDONLY, O_WRONLY or O_RDWR, O_NONBLOCK; SOCK_OPEN_KNOWN */
    char device[12];             /* name under /dev/xen, with its 0 */
};

/* Caller's memory at addr. Ranges ascend and neither overlap nor touch. */
struct sock_range {
    uint64_t addr;
    uint32_t size;
    uint32_t zero;
};

struct sock_ioctl {
    struct sock_header header;
    uint64_t arg;
    uint32_t cmd;
    uint32_t nr_ranges;
    uint32_t nr_views, zero;
    /* struct sock_range[nr_ranges], struct sock_view[nr_views], then the ranges' bytes */
};

/* Some of the caller's memory that is mapped from a device. They ascend, and do not overlap. */
struct sock_view {
    uint64_t addr, size;
    uint64_t mapping;            /* its number, which begins the name of what it is mapped from */
    uint64_t page;               /* at addr, in that file */
};

struct sock_mmap {
    struct sock_header header;
    uint64_t offset, length;     /* in bytes */
    uint32_t prot, flags;        /* as mmap(2)'s */
};

struct sock_ioctl_mmap {
    struct sock_ioctl ioctl;
    uint64_t index;              /* address of the index, which is mmap's offset */
    uint64_t length;
    uint32_t prot, flags;
    /* ranges, views and bytes as above */
};

/* The reply to an mmap that succeeded has a descriptor with it, which gives what is mapped from it its life: to be closed
 * once everything is mapped. */
#define SOCK_MAP_DONT_COPY 1u    /* fork does not inherit it */
/* For mmap's flags, when the descriptor is mapped: the kernel gives this bit no meaning there, and a machine with device files knows by it
 * that the call is none on a device. */
#define SOCK_MMAP_FLAG 0x40000000u
/* Where it is best mapped, plus the reply's place: calls that would make a mapping grow are seen there by a machine with device files. */
#define SOCK_PLACES    0x700000000000ull
#define SOCK_NR_PLACES (1ull << 30)      /* pages */
#define SOCK_NOT_TRIED     1     /* mapped: the ioctl failed */

struct sock_reply {
    struct sock_header header;
    int64_t result;              /* of an mmap: 0 */
    int32_t mapped;              /* of an mmap: 0, a negative errno or SOCK_NOT_TRIED */
    uint32_t map_prot, map_flags;
    uint32_t nr_runs;
    uint32_t nr_writes;
    uint32_t place;              /* of an mmap: pages above SOCK_PLACES, an address that nobody else is told for long */
    /* struct sock_run[nr_runs]: what to map, in order; struct sock_range[nr_writes], then their bytes: what the driver wrote */
};

struct sock_run {
    uint64_t page;               /* in the descriptor's file */
    uint64_t nr;
};

/* On an event socket. Neither is a port's number. */
#define SOCK_EVENTS_ATTACH UINT32_MAX
/* Read: the device's read answers this errno from now on. */
#define SOCK_EVENTS_ERROR(port) ((port) >= 0x80000000u ? (int)-(port) : 0)

static_assert(sizeof(struct sock_open) == 32, "a protocol");
static_assert(sizeof(struct sock_ioctl) == 32, "a protocol");
static_assert(sizeof(struct sock_mmap) == 32, "a protocol");
static_assert(sizeof(struct sock_ioctl_mmap) == 56, "a protocol");
static_assert(sizeof(struct sock_reply) == 40, "a protocol");

#endif
