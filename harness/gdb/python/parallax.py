"""Parallax in gdb: descriptors, stream table entries and operations, for people.

Loaded by the commands that `parallax gdb --print-gdbinit` prints. Fields are those of the Arm ARM (DDI 0487, D8.3) for
descriptors of a stage-2 or EL2 stage-1 table with the 4 KiB granule, and of IHI 0070, 5.2 for stream table entries.

    pdesc VALUE [LEVEL] [s1]   a descriptor
    ptable ADDRESS [LEVEL] [s1]  the entries of a table that are not zero
    pste ADDRESS               a stream table entry in memory
    op N                       go to the moment after the operation in line N, and show where that is
    check                      everything that must hold, now, and what was found up to here; an error if there is any
    pbreak FUNCTION            a breakpoint wherever a function begins, generic and inlined ones too; Tab completes names
    $desc(VALUE [, LEVEL])     a descriptor as a string, for print
"""

import os
import sys

import gdb

# A name and the addresses where it begins, in each line.
FUNCTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "functions.txt")

S2AP = {0: "--", 1: "R-", 2: "-W", 3: "RW"}
STAGE2_MEMATTR = {0: "Device-nGnRnE", 1: "Device-nGnRE", 2: "Device-nGRE", 3: "Device-GRE", 5: "Normal-NC", 15: "Normal-WB"}
SHAREABILITY = {0: "non-shareable", 1: "reserved-shareability", 2: "outer-shareable", 3: "inner-shareable"}
KINDS = {1: "locked", 2: "donation", 3: "poisoned"}
OWNERS = {0: "host", 1: "hyp", 2: "guest"}
CONFIG = {4: "bypass", 5: "stage 1", 6: "stage 2", 7: "stage 1 and stage 2"}


def number(value):
    """A value as an unsigned number of 64 bits, whatever the language is."""
    return int(value.cast(gdb.selected_inferior().architecture().integer_type(64, False)))


def bits(value, high, low):
    return (value >> low) & ((1 << (high - low + 1)) - 1)


def descriptor(value, level=None, stage1=False):
    """What `value` means in a table of `level`, or in one of any level."""
    value &= (1 << 64) - 1
    if value == 0:
        return "empty"
    if not value & 1:
        kind, owner = bits(value, 63, 60), bits(value, 3, 1)
        return "annotated %s, owner %s" % (KINDS.get(kind, kind), OWNERS.get(owner, owner))
    table = "table at %#x" % (value & 0x0000FFFFFFFFF000)
    if level is None:
        return leaf(value, 3, "page", stage1) + ", or " + table if value & 2 else leaf(value, 3, "block", stage1)
    if level < 3 and value & 2:
        return table
    if (level == 3) != bool(value & 2) or level == 0:
        return "reserved encoding %#x" % value
    return leaf(value, level, "page" if level == 3 else "block", stage1)


def leaf(value, level, kind, stage1):
    """A descriptor that maps memory."""
    size = 12 + 9 * (3 - level)
    words = ["%s %#x" % (kind, value & 0x0000FFFFFFFFF000 & ~((1 << size) - 1))]
    if stage1:
        words.append("R-" if value >> 7 & 1 else "RW")
        words.append("AttrIndx=%d" % bits(value, 4, 2))
        words.append("XN" if value >> 54 & 1 else "X")
    else:
        words.append(S2AP[bits(value, 7, 6)])
        words.append(STAGE2_MEMATTR.get(bits(value, 5, 2), "MemAttr=%#x" % bits(value, 5, 2)))
        words.append("XN=%d" % bits(value, 54, 53))
    words.append(SHAREABILITY[bits(value, 9, 8)])
    if not value >> 10 & 1:
        words.append("AF=0")
    if value >> 52 & 1:
        words.append("contiguous")
    if bits(value, 58, 55):
        words.append("software=%#x" % bits(value, 58, 55))
    return " ".join(words)


def entry_lines(words):
    """A stream table entry of eight dwords, line by line."""
    lines = [" ".join("%016x" % word for word in words[:4]), " ".join("%016x" % word for word in words[4:])]
    valid, config = words[0] & 1, bits(words[0], 3, 1)
    fate = CONFIG.get(config, "abort")
    lines.append("V=%d Config=%#x: %s" % (valid, config, fate if valid else "abort, the entry is not valid"))
    if valid and config & 1:
        lines.append("S1ContextPtr=%#x S1CDMax=%d" % (words[0] & 0x00FFFFFFFFFFFFC0, bits(words[0], 63, 59)))
    if valid and config in (6, 7):
        lines.append(
            "S2TTB=%#x S2VMID=%#x S2T0SZ=%d S2SL0=%d S2TG=%d S2PS=%d S2AA64=%d S2AFFD=%d S2R=%d S2FWB=%d"
            % (
                words[3] & 0x00FFFFFFFFFFFFF0,
                bits(words[2], 15, 0),
                bits(words[2], 37, 32),
                bits(words[2], 39, 38),
                bits(words[2], 47, 46),
                bits(words[2], 50, 48),
                bits(words[2], 51, 51),
                bits(words[2], 53, 53),
                bits(words[2], 58, 58),
                bits(words[1], 25, 25),
            )
        )
    return lines


def memory(address, count):
    """`count` little-endian dwords from `address` on."""
    data = bytes(gdb.selected_inferior().read_memory(address, 8 * count))
    return [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]


def arguments(text, least, usage):
    words = gdb.string_to_argv(text)
    stage1 = "s1" in words
    values = [number(gdb.parse_and_eval(word)) for word in words if word != "s1"]
    if not least <= len(values) <= 2:
        raise gdb.GdbError("usage: " + usage)
    if len(values) == 2 and values[1] > 3:
        raise gdb.GdbError("a level is 0 to 3")
    return values, stage1


class Pdesc(gdb.Command):
    """pdesc VALUE [LEVEL] [s1]: what a descriptor means; of any level unless LEVEL is given, of stage 2 unless s1."""

    def __init__(self):
        super().__init__("pdesc", gdb.COMMAND_DATA)

    def invoke(self, text, from_tty):
        values, stage1 = arguments(text, 1, "pdesc VALUE [LEVEL] [s1]")
        print(descriptor(values[0], *values[1:], stage1=stage1))


class Ptable(gdb.Command):
    """ptable ADDRESS [LEVEL] [s1]: the entries of a table that are not zero; runs of like ones in one line."""

    def __init__(self):
        super().__init__("ptable", gdb.COMMAND_DATA)

    def invoke(self, text, from_tty):
        values, stage1 = arguments(text, 1, "ptable ADDRESS [LEVEL] [s1]")
        level = values[1] if len(values) == 2 else 3
        entries = memory(values[0], 512)
        index = 0
        while index < 512:
            value, first = entries[index], index
            step = 1 << (12 + 9 * (3 - level)) if value & 1 and not (level < 3 and value & 2) else 0
            while index < 512 and entries[index] == value + (index - first) * step:
                index += 1
            if value:
                count = "" if index - first == 1 else " and %d more like it" % (index - first - 1)
                print("[%3d] %#018x %s%s" % (first, value, descriptor(value, level, stage1), count))


class Pste(gdb.Command):
    """pste ADDRESS: the stream table entry at an address."""

    def __init__(self):
        super().__init__("pste", gdb.COMMAND_DATA)

    def invoke(self, text, from_tty):
        values, _ = arguments(text, 1, "pste ADDRESS")
        print("\n".join(entry_lines(memory(values[0], 8))))


def answer(command):
    """What a monitor command says, shown; an error if it says one."""
    text = gdb.execute("monitor " + command, to_string=True)
    if text.startswith("error: "):
        raise gdb.GdbError(text[len("error: ") :].rstrip())
    print(text, end="")
    return text


class Op(gdb.Command):
    """op N: go to the moment after the operation in line N of the trace, and show where that is."""

    def __init__(self):
        super().__init__("op", gdb.COMMAND_RUNNING)

    def invoke(self, text, from_tty):
        answer("op " + text)
        gdb.execute("frame")


class Check(gdb.Command):
    """check: everything that must hold, now, and what was found up to here; an error when there is any, so that a script in batch mode fails."""

    def __init__(self):
        super().__init__("check", gdb.COMMAND_STATUS)

    def invoke(self, text, from_tty):
        if answer("check") != "nothing found\n":
            raise gdb.GdbError("that must not be")


def functions():
    """Where functions begin, by name; nothing in a recording."""
    try:
        with open(FUNCTIONS, encoding="utf-8") as lines:
            pairs = [line.rstrip("\n").split("\t") for line in lines]
    except OSError:
        return {}
    return {name: [int(place, 0) for place in places.split()] for name, places in pairs}


def ends(name):
    """What a function may be called by: its whole path, or the end of it."""
    parts = name.split("::")
    return ["::".join(parts[at:]) for at in range(len(parts))]


class Pbreak(gdb.Command):
    """pbreak FUNCTION: a breakpoint wherever a function of the hypervisor or the test host begins, generic and inlined ones too."""

    def __init__(self):
        super().__init__("pbreak", gdb.COMMAND_BREAKPOINTS)

    def invoke(self, text, from_tty):
        wanted = text.strip()
        known = functions()
        if not known:
            raise gdb.GdbError("a recording has no functions to stop at; `parallax gdb TRACE` has")
        found = {name: places for name, places in known.items() if wanted in ends(name)}
        if not found:
            raise gdb.GdbError("no function is called %s; Tab shows names" % (wanted or "so"))
        for name, places in sorted(found.items()):
            print("%s begins in %d place%s" % (name, len(places), "" if len(places) == 1 else "s"))
            for place in places:
                gdb.Breakpoint("*%#x" % place)

    def complete(self, text, word):
        names = {end for name in functions() for end in ends(name)}
        # gdb puts the completion in place of `word`, which begins behind the last colon.
        head = text[: len(text) - len(word)]
        return sorted(name[len(head) :] for name in names if name.startswith(text))


class Desc(gdb.Function):
    """$desc(VALUE [, LEVEL]): a descriptor as a string."""

    def __init__(self):
        super().__init__("desc")

    def invoke(self, value, level=None):
        return descriptor(number(value), None if level is None else int(level))


class DescriptorPrinter:
    """The hypervisor's `Descriptor`."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        return "%#018x (%s)" % (raw(self.value), descriptor(raw(self.value)))


class EntryPrinter:
    """The hypervisor's `Ste`."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        words = self.value[self.value.type.fields()[0]]
        return "\n".join(entry_lines([int(words[index]) for index in range(8)]))


def raw(value):
    """The number inside of a Rust newtype."""
    while value.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
        value = value[value.type.fields()[0]]
    return int(value) & ((1 << 64) - 1)


def lookup(value):
    """A printer for the hypervisor's own types of entries, by their names."""
    if value.is_optimized_out:
        return None
    name = str(value.type.strip_typedefs().unqualified())
    if name.startswith("hyp_core::") and name.endswith("::Descriptor"):
        return DescriptorPrinter(value)
    if name.startswith("hyp_core::") and name.endswith("::Ste"):
        return EntryPrinter(value)
    return None


for command in (Pdesc, Ptable, Pste, Op, Check, Pbreak, Desc):
    command()
lookup.__name__ = "parallax"
gdb.pretty_printers[:] = [known for known in gdb.pretty_printers if getattr(known, "__name__", "") != "parallax"]
gdb.pretty_printers.append(lookup)


def moved():
    """After a monitor command, which may have moved the machine: registers and watched values are read anew, and whoever
    looks through gdb (an editor) is told of a stop."""
    gdb.execute("maintenance flush register-cache", to_string=True)
    language = gdb.parameter("language")
    for point in gdb.breakpoints():
        if point.type == gdb.BP_HARDWARE_WATCHPOINT and point.enabled:
            point.enabled = False
            # Its expression may be in another language than the frame that one is in now.
            for other in ("c", "rust", language):
                gdb.execute("set language " + other, to_string=True)
                try:
                    point.enabled = True
                except gdb.error:
                    pass
                if point.enabled:
                    break
    gdb.execute("set language " + language, to_string=True)
    if "gdb.dap" in sys.modules and gdb.execute("monitor stay", to_string=True):
        gdb.execute("stepi", to_string=True)


class StoresOnly(gdb.Command):
    """A recording knows of no loads, so that nothing would ever stop at them: what `rwatch` and `awatch` say there."""

    def __init__(self):
        super().__init__("parallax-stores-only", gdb.COMMAND_BREAKPOINTS)

    def invoke(self, text, from_tty):
        raise gdb.GdbError("a recording knows of stores only; `watch` stops at those")


def step_back():
    """An editor's buttons for the way back: the protocol has them, gdb 16's server of it does not."""
    from gdb.dap.events import exec_and_expect_stop

    server = sys.modules["gdb.dap.server"]

    if "supportsStepBack" in server._capabilities:
        return

    @server.capability("supportsStepBack")
    @server.request("stepBack", response=False)
    def back(*, threadId: int, granularity: str = "statement", **extra):
        exec_and_expect_stop("reverse-stepi" if granularity == "instruction" else "reverse-next")

    @server.request("reverseContinue", response=False)
    def reverse_continue(*, threadId: int, **extra):
        exec_and_expect_stop("reverse-continue")


gdb.execute("define hookpost-monitor\npython moved()\nend")
if gdb.convenience_variable("parallax_recording"):
    StoresOnly()
    for command in ("rwatch", "awatch"):
        gdb.execute("define hook-%s\nparallax-stores-only\nend" % command)
    # Only gdb in an editor has this loaded.
    if "gdb.dap" in sys.modules:
        try:
            step_back()
        except (AttributeError, AssertionError, ImportError, KeyError, TypeError) as error:
            print("no buttons for the way back in this gdb: %s; `reverse-step` and the like work" % error)
