# The baseline that `parallax bench` compares itself with: what one would write with nothing but gdb-multiarch.
# At each stop it reads the CPU's host stage 2, EL2's stage 1, the stream table and the SMMU's stage 2 through the
# gdbstub, page by page, and decodes every valid leaf. It runs inside gdb:
#   gdb-multiarch -nx -batch -x baseline.py     with the PARALLAX_* variables below in the environment.
# Prints one line of JSON.
import json
import os
import struct
import time

import gdb

ADDR = (1 << 48) - (1 << 12)
env = lambda name: int(os.environ["PARALLAX_" + name], 0)
SOCKET = os.environ["PARALLAX_SOCKET"]
WAIT, MAILBOX, SLOT0 = env("WAIT"), env("MAILBOX"), env("SLOT0")
COUNT_OFFSET, PFN, OPS, DUMPS, SMMU = env("COUNT_OFFSET"), env("PFN"), env("OPS"), env("DUMPS"), env("SMMU")
SPLIT = env("SPLIT")
SHARE, UNSHARE, OP_HYPERCALL = env("SHARE"), env("UNSHARE"), env("OP_HYPERCALL")
DONATE, RETURN = env("DONATE"), env("RETURN")


def page(pa):
    return struct.unpack("<512Q", bytes(gdb.selected_inferior().read_memory(pa, 4096)))


def word(pa):
    return struct.unpack("<I", bytes(gdb.selected_inferior().read_memory(pa, 4)))[0]


def reg(name):
    return int(gdb.parse_and_eval("$" + name)) & (1 << 64) - 1


def walk(table, level, counts):
    counts["tables"] += 1
    for entry in page(table):
        if entry & 1 == 0:
            counts["annotated"] += entry != 0
        elif level < 3 and entry & 2:
            walk(entry & ADDR, level + 1, counts)
        else:
            counts["leaves"] += 1


def roots(base, t0sz, sl0, counts):
    start = 2 - sl0
    bits = 64 - t0sz - (48 - 9 * start)
    for i in range(max(1, 1 << max(0, bits))):
        walk((base & ADDR) + 4096 * i, start, counts)


def dump():
    counts = {"tables": 0, "leaves": 0, "annotated": 0}
    vtcr = reg("VTCR_EL2")
    roots(reg("VTTBR_EL2"), vtcr & 63, vtcr >> 6 & 3, counts)
    walk(reg("TTBR0_EL2") & ADDR, 0, counts)
    strtab = (word(SMMU + 0x80) | word(SMMU + 0x84) << 32) & ADDR
    seen = set()
    for l1 in page(strtab):
        if l1 & 31 == 0:
            continue
        for i in range(4):
            ste = page((l1 & ADDR) + 4096 * i)
            for s in range(64):
                if ste[8 * s] & 1:
                    s2 = ste[8 * s + 2]
                    seen.add((ste[8 * s + 3] & ADDR, s2 >> 32 & 63, s2 >> 38 & 3))
    for ttb, t0sz, sl0 in sorted(seen):
        roots(ttb, t0sz, sl0, counts)
    return counts


def resume():
    gdb.execute("set $pc = $pc + 4", to_string=True)
    gdb.execute("continue", to_string=True)


def perform(function, pfn, nr=0):
    inferior = gdb.selected_inferior()
    inferior.write_memory(SLOT0, struct.pack("<12Q", 0, OP_HYPERCALL, function, pfn, nr, 0, 0, 0, 0, 0, 0, 0))
    inferior.write_memory(MAILBOX + COUNT_OFFSET, struct.pack("<Q", 1))
    resume()
    kind, x0, x1 = struct.unpack("<3Q", bytes(inferior.read_memory(SLOT0 + 72, 24)))
    if (kind, x0, x1) != (1, 0, 0):
        raise gdb.GdbError("function %#x: kind %d, x0 %d, x1 %d" % (function, kind, x0, x1))


gdb.execute("set pagination off")
gdb.execute("set architecture aarch64", to_string=True)
gdb.execute("set remotetimeout 60")
gdb.execute("target remote " + SOCKET, to_string=True)
gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
gdb.execute("set code-cache off", to_string=True)
gdb.execute("set stack-cache off", to_string=True)
gdb.execute("hbreak *%#x" % WAIT, to_string=True)
gdb.execute("continue", to_string=True)

for n in range(SPLIT):
    perform(DONATE, 0x44000 + 512 * n, 1)
    perform(RETURN, 0x44000 + 512 * n, 1)

counts = {}
begin = time.monotonic()
for n in range(OPS):
    perform(SHARE if n % 2 == 0 else UNSHARE, PFN)
    counts = dump()
ops_seconds = time.monotonic() - begin

begin = time.monotonic()
for n in range(DUMPS):
    counts = dump()
dump_seconds = time.monotonic() - begin

print("PARALLAX " + json.dumps({
    "ops": OPS, "ops_seconds": ops_seconds, "dumps": DUMPS, "dump_seconds": dump_seconds, **counts}))
gdb.execute("kill", to_string=True)
