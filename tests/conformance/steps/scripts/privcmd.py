# SPDX-License-Identifier: MIT
"""Scripts for /dev/xen/privcmd in one domain, as far as it needs no other domain's memory."""
from script import case

PRIVCMD_HYPERCALL = 0x305000


def privcmd(d):
    """spec: /dev/xen/privcmd, the part that needs no memory of other domains."""
    yield case(f"d{d}-privcmd", f"""
            actor a {d}
            . a open f privcmd
            a read f 4
            a write f 4
            a seek f 0
            a poll f
            a ioctl f 0x50ff null
            a ioctl f 0x5063 null
            a ioctl f 0x5401 null
            a ioctl f 0x184700 null
            a ioctl f {PRIVCMD_HYPERCALL} null
            a ioctl f {PRIVCMD_HYPERCALL} bad
            a ioctl f {PRIVCMD_HYPERCALL} {"3f" + "00" * 47}
            a ioctl f {PRIVCMD_HYPERCALL} {"14" + "00" * 7 + "63" + "00" * 39}
            a ioctl f 0x25006 null
            a ioctl f 0x25006 0500
            a ioctl f 0x25006 0500
            a ioctl f 0x25006 0600
            a ioctl f {PRIVCMD_HYPERCALL} {"14" + "00" * 47}
            a ioctl f {PRIVCMD_HYPERCALL} null
            """)
