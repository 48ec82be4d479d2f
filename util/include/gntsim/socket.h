/* SPDX-License-Identifier: MIT */
/*
 * The protocol between a program's libraries and the machine, over a domain's socket.
 *
 * The socket is a Unix socket of type SOCK_SEQPACKET, whose path is in SOCK_ENV. A message is one
 * packet if it fits into SOCK_MAX_PACKET bytes, else several. The socket carries packets because
 * the kernel would wake a thread that waits for bytes of a stream also when its peer takes what it
 * sent. That would double the wake-ups of a round trip.
 *
 * One connection is one open device, like a descriptor of a device file. It begins with SOCK_OPEN
 * and ends when its last copy is closed, in whatever process. Each request gets one reply, in
 * order; a client has one request under way at a time. Numbers have the host's byte order, since
 * both ends are processes of one host. Errors are negative errno values.
 *
 * The caller's memory that a driver may look at travels with the request, as ranges of addresses.
 * What the driver wrote comes back with the reply. Any other access is the driver's EFAULT.
 *
 * An evtchn device also has an event socket, whose descriptor comes with the reply to SOCK_OPEN. It
 * stands for the device's descriptor. It is readable when an event is pending, and reading it gives
 * port numbers, as from the device. What is written there is written to the device.
 * SOCK_EVENTS_ATTACH with a descriptor beside it makes that descriptor a connection to the device.
 *
 * The machine drops a peer that sends anything else, or descriptors that it did not ask for.
 */
#ifndef GNTSIM_SOCKET_H
#define GNTSIM_SOCKET_H

#include <assert.h>
#include <stdint.h>

/*
 * Environment variable: the path of the domain's socket. If it is set, the libraries reach their
 * devices there.
 */
#define SOCK_ENV "GNTSIM_SOCKET"
/*
 * Environment variable: set where the domain's device files are, too. A library that cannot reach
 * the socket, because the process changed its root or user, opens the files. It asks the machine to
 * know the descriptors that stand for devices (SOCK_OPEN_KNOWN), so that plain system calls on them
 * work.
 */
#define SOCK_FILES_ENV "GNTSIM_DEVICE_FILES"
/*
 * Environment variable: set if the machine listens to what programs do. The libraries then send
 * SOCK_STACK and SOCK_SAY.
 */
#define SOCK_WATCHED_ENV "GNTSIM_WATCHED"
/* The filter reports calls on descriptors from here on. */
#define SOCK_FILES_MIN_FD 512

#define SOCK_MAGIC   0x6d69736eu
#define SOCK_VERSION 4u
#define SOCK_MAX_MESSAGE (16u << 20)      /* in bytes */
#define SOCK_MAX_PACKET  (16u << 10)      /* in bytes */

enum sock_op {
    SOCK_OPEN = 1,               /* struct sock_open; once, first */
    SOCK_ATTACH,                 /* a header, with the descriptor of another such socket: a
                                  * connection to the same open device. The reply comes there */
    SOCK_IOCTL,                  /* struct sock_ioctl */
    SOCK_MMAP,                   /* struct sock_mmap */
    SOCK_IOCTL_MMAP,             /* struct sock_ioctl_mmap: an ioctl, and if it succeeds an mmap of
                                  * the index that it left in its argument */
    SOCK_WRITE,                  /* a header and the bytes to be written to the device */
    SOCK_STACK,                  /* a header and uint64_t[], the innermost first: the addresses to
                                  * which the calls return that led to the next request. Or only
                                  * one below SOCK_FIRST_ADDRESS: the number of the thread, which
                                  * cannot tell. No reply */
    SOCK_SAY,                    /* struct sock_say; without SOCK_OPEN before it, too */
    SOCK_EVENTS_PAGE,            /* a header: the reply brings a descriptor of an evtchn device's
                                  * struct sock_events_page */
    SOCK_LOST,                   /* a header: the reply's runs are the frames that are nothing any
                                  * more to the device's domain, which mapped and unmapped them */
    SOCK_NR_OPS
};

struct sock_header {
    uint32_t size;               /* of the whole message, in bytes */
    uint16_t op;
    uint16_t processor;          /* of a request: the one that its sender runs on. The machine
                                  * answers there, since to wake another one takes longer */
};

/*
 * The reply brings a descriptor of another connection to the device, which stands for the device's
 * descriptor. The machine made it, and finds the device by it in any process. (Event sockets always
 * come so.)
 */
#define SOCK_OPEN_KNOWN 0x80000000u

struct sock_open {
    struct sock_header header;
    uint32_t magic, version;
    uint32_t flags;              /* O_RDONLY, O_WRONLY or O_RDWR, O_NONBLOCK; SOCK_OPEN_KNOWN */
    char device[12];             /* name under /dev/xen, 0-terminated */
};

/* Some of the caller's memory. Ranges ascend; they neither overlap nor touch. */
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

/* Some of the caller's memory that is mapped from a device. Views ascend and do not overlap. */
struct sock_view {
    uint64_t addr, size;
    uint64_t mapping;            /* the number with which the name of the mapped file begins */
    uint64_t page;               /* number in that file of the page at addr */
};

struct sock_mmap {
    struct sock_header header;
    uint64_t offset, length;     /* in bytes */
    uint32_t prot, flags;        /* as mmap(2)'s */
};

struct sock_ioctl_mmap {
    struct sock_ioctl ioctl;
    uint64_t index;              /* address of the index, which becomes the mmap's offset */
    uint64_t length;
    uint32_t prot, flags;
    /* ranges, views and bytes as above */
};

/* What a process says about itself. The reply comes when the machine has heard it. */
#define SOCK_MAX_STACK 64u       /* addresses */
#define SOCK_FIRST_ADDRESS (1u << 22)   /* of code; Linux' threads have lower numbers */
enum sock_word {
    SOCK_SAY_EXITS,              /* value: the exit status */
    SOCK_SAY_CLOSES,             /* it will close the device */
    SOCK_SAY_UNMAPS,             /* value: an address that is to be unmapped; index: of the mapping
                                  * there, SOCK_NO_INDEX: there is none */
    SOCK_SAY_FAULTS,             /* value: the address that it could not access; index: of
                                  * SOCK_FAULT. The first address of its stack is where that was */
    SOCK_NR_WORDS
};
/* Signal, code (below 2^16) and whether it was a write. */
#define SOCK_FAULT(signal, code, writes) \
    ((uint64_t)(signal) | (uint64_t)(uint16_t)(code) << 16 | (uint64_t)(writes) << 32)
#define SOCK_FAULT_SIGNAL(index) ((int)((index) & 0xffff))
#define SOCK_FAULT_CODE(index)   ((int)((index) >> 16 & 0xffff))
#define SOCK_FAULT_WRITES(index) ((index) >> 32 & 1)
struct sock_say {
    struct sock_header header;
    uint32_t word, zero;
    uint64_t value, index;
};
#define SOCK_NO_INDEX UINT64_MAX

/*
 * The reply to a successful mmap brings a descriptor, from which the pages are mapped. It keeps the
 * mapping alive; close it once everything is mapped.
 */
#define SOCK_MAP_DONT_COPY 1u    /* fork does not inherit it */
/* In map_flags of any reply: some domain has lost pages that this connection has not asked of. */
#define SOCK_LOST_NEWS 2u
/*
 * For mmap's flags when that descriptor is mapped. The kernel gives this bit no meaning there, and
 * the machine's filter sees by it that the call is none on a device.
 */
#define SOCK_MMAP_FLAG 0x40000000u
/*
 * Where to map it: here, plus the reply's place. The filter sees calls there that would make a
 * mapping grow.
 */
#define SOCK_PLACES    0x700000000000ull
#define SOCK_NR_PLACES (1ull << 30)      /* in pages */
#define SOCK_NOT_TRIED     1     /* mapped: the ioctl failed */

struct sock_reply {
    struct sock_header header;
    int64_t result;              /* of an mmap: 0 */
    int32_t mapped;              /* of an mmap: 0, a negative errno or SOCK_NOT_TRIED */
    uint32_t map_prot, map_flags;
    uint32_t nr_runs;
    uint32_t nr_writes;
    uint32_t place;              /* of an mmap: pages above SOCK_PLACES, told to nobody else for
                                  * long */
    /*
     * struct sock_run[nr_runs]: what to map, in order; struct sock_range[nr_writes], then their
     * bytes: what the driver wrote
     */
};

struct sock_run {
    uint64_t page;               /* number of the first in the descriptor's file */
    uint64_t nr;                 /* how many */
};

/*
 * What an evtchn device shares with its programs. To unmask a port without a message, a program
 * adds it to unmasked, sets any, and then looks: if the machine lets it (may), and no event waits
 * at the port (late), the port is unmasked. The machine sees it before its next operation. Else
 * the program must write the port, as to the device.
 *
 * Both sides access each field with sequentially consistent operations. The machine adds a port to
 * late and then looks at unmasked. So at least one of both sides sees what the other one did.
 */
#define SOCK_EVENTS_WORDS 64u    /* ports below 4096 */
struct sock_events_page {
    uint32_t may;                /* the machine's: nobody wants to know of each call */
    uint32_t any;                /* the program's */
    uint64_t unmasked[SOCK_EVENTS_WORDS];    /* a bit for each port; the program's */
    uint64_t late[SOCK_EVENTS_WORDS];        /* the machine's */
};
#define SOCK_EVENTS_PAGE_SIZE 4096u          /* of the descriptor's file */

/* What else an event socket carries; neither is a port's number. Written: attach a connection. */
#define SOCK_EVENTS_ATTACH UINT32_MAX
/* Read: the errno that the device's reads answer from now on; 0: it is a port. */
#define SOCK_EVENTS_ERROR(port) ((port) >= 0x80000000u ? (int)-(port) : 0)

static_assert(sizeof(struct sock_open) == 32, "a protocol");
static_assert(sizeof(struct sock_ioctl) == 32, "a protocol");
static_assert(sizeof(struct sock_say) == 32, "a protocol");
static_assert(sizeof(struct sock_mmap) == 32, "a protocol");
static_assert(sizeof(struct sock_ioctl_mmap) == 56, "a protocol");
static_assert(sizeof(struct sock_reply) == 40, "a protocol");
static_assert(sizeof(struct sock_events_page) == 1032, "a protocol");

#endif
