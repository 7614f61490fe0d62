"""What a night runs, and how its results come into the history."""
import itertools, json, os, re, shutil, subprocess, time
from pathlib import Path

import nightly_history

ROOT = Path(__file__).resolve().parent.parent
PARALLAX = os.environ.get("PARALLAX_PROGRAM") or str(ROOT / "target/release/parallax")
QEMU = "qemu-system-aarch64"
# Traces that are about another setting: performed on their own machines only.
OWN_MACHINE = {
    "traces/good/smmu_off_events.trace": "it is about a hypervisor that leaves the SMMU alone",
    "traces/good/smmu_off.trace": "it is about a hypervisor that leaves the SMMU alone",
    "traces/good/host_tables_used_up.trace": "its few pages for tables do not suffice for a shared one",
    "traces/good/mmio_recycled.trace": "its few pages for tables do not suffice for a shared one",
    "traces/good/donate_out_of_tables.trace": "its few pages for tables do not suffice for a shared one",
    "traces/good/shared_out_of_tables.trace": "its pages for tables are counted for blocks",
    "traces/good/tree_initrd.trace": "its device tree has one CPU",
    "traces/good/tree_reserved.trace": "its device tree has one CPU",
    "traces/good/tree_soc.trace": "its device tree has one CPU",
    "traces/good/gicr_lpi_tables.trace": "it reads GICR_TYPER, which says whether there are more CPUs",
    "traces/good/its_commands.trace": "it names a redistributor that is not there on one CPU",
}
HOSTILE_FAULTS = ["viommu_ste_unchecked", "viommu_s2_fields_from_host", "viommu_evtq_unchecked", "viommu_memory_not_held",
                  "viommu_missing_nh_all"]
BARE, BARE_SUITES = "bare machines, ci/run and ci/test", ["bookworm", "trixie", "sid"]
# Newer kernels than the default one, as far as the distribution's archive has them (ci/fetch-linux).
SERIES = ["7.2", "7.3"]
# A trace that is not in order is run so often again; no more traces of a cell than that.
AGAIN, AGAIN_TRACES = 2, 10
MUTANTS = "small changes of the hypervisor"
# In how many nights all of them have had their turn.
MUTANT_PARTS = 64
# Commands of parallax that say how many operations they performed, besides `run`.
COUNTED = [("attack",), ("fuzz",)]
# Anything else that is not in order is run once more, if it took no longer than this.
AGAIN_SECONDS = 600
# Good traces in whose events Casemate sees what it does not allow (docs/protocol.md), with its own words.
CASEMATE_REFUSES = {
    "traces/good/donate_out_of_tables.trace": "Wrote plain without authorization",
    "traces/good/firmware_dirty_shared.trace": "BBM valid->valid",
    "traces/good/host_tables_used_up.trace": "Wrote plain without authorization",
    "traces/good/mmio_recycled.trace": "Wrote plain without authorization",
    "traces/good/shared.trace": "BBM valid->valid",
    "traces/good/shared_out_of_tables.trace": "BBM valid->valid",
    "traces/good/shared_split.trace": "BBM valid->valid",
    "traces/good/split_1g.trace": "Wrote plain without authorization",
    "traces/good/viommu_shared.trace": "BBM valid->valid",
}
# Of longer ones it is not asked: it takes longer than the rest of the night.
CASEMATE_MOST = 100_000_000
CASEMATE = "Casemate takes the events of all good traces"
# What runs is ended with the night, even if that is killed.
WITH_US = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []


def say(text):
    print(f"nightly: {text}", flush=True)


def run(*words, env=None):
    """Runs it in the source tree; gives its exit status, standard output and standard error."""
    done = subprocess.run([*WITH_US, *words], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace")
    return done.returncode, done.stdout, done.stderr


def qemus():
    """The programs of all QEMUs by their versions, the one that is used by default first; no version twice."""
    found = {}
    only = os.environ.get("PARALLAX_QEMUS")
    folders = [Path(folder) for folder in (only or os.environ.get("PATH", "")).split(":") if folder]
    if not only:
        folders += sorted(ROOT.glob("target/tools/*/bin"))
    named = os.environ.get("PARALLAX_QEMU")
    for program in ([Path(named), Path(named) / QEMU] if named else []) + [folder / QEMU for folder in folders]:
        if program.is_file():
            version = re.search(r"version (\S+)", run(str(program.resolve()), "--version")[1])
            if version:
                found.setdefault(version[1], program)
    return found


def machines(short):
    """(mode, settings) of every machine; the short form takes each value at least once."""
    every = list(itertools.product(["step", "stream"], ["shadow", "shared"], ["blocks", "pages"], [1, 2, 4]))
    few = [("step", "shadow", "pages", 2), ("stream", "shared", "blocks", 4), ("stream", "shadow", "blocks", 1)]
    for mode, smmu, mapping, cpus in few if short else every:
        yield mode, {"smmu": smmu, "smmu.map": mapping, "cpus": str(cpus)}


class Night:
    """A night at work."""

    def __init__(self, db, short, part):
        self.db, self.short, self.bad, self.turn = db, short, False, 0
        self.part, self.parts = map(int, part.split("/"))
        self.begin = time.monotonic()
        revision = run("git", "describe", "--always", "--dirty")[1].strip() or "unknown"
        row = (int(time.time()), revision, "short" if short else "full", part)
        self.id = db.execute("insert into night(started, revision, form, part) values (?,?,?,?)", row).lastrowid

    def mine(self):
        """Whether the next piece of work is of this part: pieces are dealt out in turn."""
        self.turn += 1
        return (self.turn - 1) % self.parts == self.part - 1

    def all(self):
        self.traces()
        self.others()
        nightly_history.totals(self.db, self.id)
        self.db.execute("update night set seconds = ?, status = ? where id = ?",
                        (time.monotonic() - self.begin, int(self.bad), self.id))

    def cell(self, name, words, env=None, traces=None):
        """A run of traces; what is not in order is run again, and is flaky if it comes out otherwise once."""
        say(name)
        begin = time.monotonic()
        status, out, err = run(PARALLAX, "run", "--format", "json", *words, *(traces or ["traces/good"]), env=env)
        seconds = time.monotonic() - begin
        try:
            document = json.loads(out)
            reports = document["traces"]
        except (ValueError, KeyError):
            document, reports = {}, []
        # Traces in which the same is not as agreed are one thing to look at.
        change = {trace: ", ".join(f"{shape['count']} × {shape['text']}" for shape in alike["what"])
                  for alike in document.get("changes", []) for trace in alike["traces"]}
        operations = sum(report["operations"] for report in reports)
        # A bad trace without its fault may well change nothing: that nothing is found is what counts.
        fine = ("same", "checked", "nothing") if "--without-faults" in words else ("same", "checked")
        wrong = [report for report in reports if report["verdict"] not in fine]
        for number, report in enumerate(wrong):
            again = [run(PARALLAX, "run", "--format", "json", *words, report["trace"], env=env)[0]
                     for _ in range(AGAIN if number < AGAIN_TRACES else 0)]
            told = ["\n  ".join([f"after line {found['line']}: {found['text']}", *found.get("detail", []), found["reproduce"]])
                    for found in report["findings"]]
            text = "\n".join([report["verdict"], *told, report.get("message") or "", report.get("diff") or ""])
            report["flaky"] = 0 in again
            self.problem(name, report["trace"], text.strip()[:2000], report["flaky"], change.get(report["trace"], ""))
        if not reports or (status and not wrong):
            # No result at all, or what is wrong is about no trace that ran: a golden that belongs to none.
            self.problem(name, "(all)", (err or out).strip()[-2000:] or f"exit status {status}", False)
        self.done(name, len(reports), operations, seconds, status)
        return reports

    def done(self, name, traces, operations, seconds, status):
        """What was run is in the history once all is there that is not in order of it."""
        self.db.execute("insert into cell values (?,?,?,?,?,?)", (self.id, name, traces, operations, seconds, status))

    def problem(self, cell, trace, text, flaky, change=""):
        self.bad |= not flaky
        self.db.execute("insert into problem values (?,?,?,?,?,?)", (self.id, cell, trace, text, flaky, change))
        say(f"{'flaky' if flaky else 'NOT IN ORDER'}: {cell}: {trace}: {text.splitlines()[0]}")

    def step(self, name, *words, expect=0, env=None, cannot=None):
        """Any other check, by its exit status. One that says that it `cannot` be done is no error; there is no output then."""
        say(name)
        begin = time.monotonic()
        status, out, err = run(*words, env=env)
        seconds = time.monotonic() - begin
        if status == cannot:
            say((err or out).strip().rpartition("\n")[2])
            return None
        counted = re.search(r"\b(\d+) operations\b", out) if words[1:2] in COUNTED else None
        if status != expect:
            text = f"exit status {status}, not {expect}\n{(out + err).strip()[-1500:]}"
            flaky = False
            if seconds < AGAIN_SECONDS:
                again, out, _ = run(*words, env=env)
                flaky = again == expect
            self.problem(name, " ".join(Path(word).name for word in words), text, flaky)
        self.done(name, 0, int(counted[1]) if counted else 0, seconds, status)
        return out

    def measure(self, name, value):
        self.db.execute("insert into measure values (?,?,?)", (self.id, name, value))

    def traces(self):
        good = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "traces/good").glob("**/*.trace"))
        for number, (version, program) in enumerate(qemus().items()):
            self.db.execute("insert into qemu values (?,?,?)", (self.id, version, str(program)))
            env = dict(os.environ, PARALLAX_QEMU=str(program))
            for mode in ["step", "stream"]:
                if self.mine():
                    reports = self.cell(f"qemu {version}, {mode}, own machines, goldens", ["--mode", mode], env, ["traces"])
                    self.faults(reports)
            # The short form has other machines with one QEMU only.
            for mode, settings in machines(self.short) if number == 0 or not self.short else []:
                if self.mine():
                    words = ["--mode", mode, *(word for key, value in settings.items()
                                               for word in ("--machine", f"{key}={value}"))]
                    fit = [trace for trace in good if trace not in OWN_MACHINE]
                    self.cell(f"qemu {version}, {mode}, {' '.join(f'{k}={v}' for k, v in settings.items())}", words, env, fit)

    def faults(self, reports):
        for report in reports:
            if report["bad"]:
                caught = bool(report["findings"]) or report.get("flaky", False)
                self.db.execute("insert into fault values (?,?,?) on conflict do update set caught = min(caught, excluded.caught)",
                                (self.id, Path(report["trace"]).stem, caught))

    def others(self):
        if self.mine():
            # A fault that is switched off leaves nothing to be found.
            self.cell("bad traces, faults switched off", ["--without-faults"], None, ["traces/bad"])
        if self.mine():
            self.step("every switchable fault has a trace", PARALLAX, "faults")
        if self.mine():
            few = ["--fault", "smmu_no_tlbi", "--attack-ops", "2000"] if self.short else ["--attack-ops", "100000"]
            self.step("who catches which fault, after how many operations", PARALLAX, "faults", "--score", *few)
        for seed in [1] if self.short else [1, 2, 3, 4]:
            if self.mine():
                ops = "5000" if self.short else "100000"
                self.step(f"a hostile host, seed {seed}, {ops} operations", PARALLAX, "attack", "--seed", str(seed), "--ops", ops)
        if self.mine():
            # What a night reaches is there for the next one.
            long = ["--ops", "20000"] if self.short else ["--time", "1h", "--corpus", str(ROOT / "target/corpus")]
            self.step("operations that know the state", PARALLAX, "fuzz", *long)
        for fault in HOSTILE_FAULTS[:1] if self.short else HOSTILE_FAULTS:
            if self.mine():
                self.step(f"a hostile host finds {fault}", PARALLAX, "attack", "--fault", fault, expect=1)
        if self.mine():
            pages = [] if self.short else ["--page", "ram+0x6000", "--page", "ram+0x6001", "--page", "ram+0x61ff", "--page", "ram+0x6200"]
            self.step("every operation in every state of a few pages", PARALLAX, "explore", *pages)
        if self.mine():
            pages = [] if self.short else ["--page", "ram+0x6000", "--page", "ram+0x6001"]
            self.step("the same with an SMMU of the host's own", PARALLAX, "explore", "--smmu", *pages)
        if self.mine():
            self.casemate()
        if self.mine():
            self.coverage()
        if self.mine():
            self.instructions()
        if self.short:
            return
        for version, program in qemus().items():
            env = dict(os.environ, PARALLAX_QEMU=str(program))
            if self.mine():
                self.step(f"qemu {version}, Linux as the host, long", "ci/linux-long", env=env)
            for series in SERIES:
                # Turns are taken whether it is there or not: the parts of a night must agree on them.
                if self.mine() and (ROOT / "target/linux" / series / "version").is_file():
                    self.step(f"qemu {version}, Linux {series} as the host, long", "ci/linux-long", "64", series, env=env)
        # All traces hold on this one; what is otherwise on older ones is in docs/upstream-differences.md.
        if self.mine() and (ROOT / "target/linux" / SERIES[-1] / "version").is_file():
            self.step(f"traces on the pKVM of Linux {SERIES[-1]}", PARALLAX, "run", "--target", f"pkvm:{SERIES[-1]}", "-j1", "traces/pkvm")
        if self.mine():
            cases = dict(os.environ, PARALLAX_HOSTILE_CASES=os.environ.get("PARALLAX_HOSTILE_CASES", "50000"))
            self.step("what is read from others, on changed inputs", "cargo", "test", "--release", "-p", "parallax-trace", "-p",
                      "parallax-protocol", "-p", "parallax-machine", "-p", "parallax-report", "again_the_same", env=cases)
            clients = dict(os.environ, PARALLAX_HOSTILE_CASES=os.environ.get("PARALLAX_HOSTILE_CASES", "2000"))
            self.step("a gdb server with hostile clients", "cargo", "test", "--release", "-p", "parallax", "--test", "gdb",
                      "the_next_one_is_served", env=clients)
        if self.mine():
            machines = dict(os.environ, PARALLAX_TWIN_MACHINES="1500", PARALLAX_TWIN_SCHEDULES="400")
            self.step("the hypervisor's core without a machine: 36,000,000 operations, 500,000 schedules", "cargo", "test", "--release", "-p", "parallax-twin",
                      env=machines)
        if self.mine():
            schedules = os.environ.get("PARALLAX_SCHEDULES", "4000")
            self.step("two operations at once", PARALLAX, "schedules", "--schedules", schedules, "--seed", os.environ.get("PARALLAX_SEED", "1"))
        if self.mine():
            self.mutants()
        if self.mine():
            self.step("bisections of known faults", "ci/bisect")
            self.step("attach beside Xen", "ci/xen", cannot=125)
        if self.mine():
            self.step("a source tree that was moved", "ci/moved")
            self.step("examples of adding an operation, a check and a command", "ci/examples")
        if self.mine():
            self.bare()

    def casemate(self):
        """The checker whose format we write has its own opinion of what the hypervisor does, where it is installed."""
        program = shutil.which("casemate-check") or shutil.which("casemate")
        if not program:
            return say(f"NOT RUN: {CASEMATE}: there is no casemate-check on the PATH")
        say(CASEMATE)
        begin, taken, folder = time.monotonic(), 0, ROOT / "target/nightly-casemate"
        folder.mkdir(parents=True, exist_ok=True)
        traces = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "traces/good").glob("**/*.trace"))
        for trace in traces[::6] if self.short else traces:
            events = folder / "events.cm"
            events.unlink(missing_ok=True)
            run(PARALLAX, "run", "--no-golden", trace, "--export", "casemate", str(events))
            if events.is_file() and events.stat().st_size > CASEMATE_MOST:
                say(f"NOT JUDGED by Casemate: {trace}: its events take more than {CASEMATE_MOST} bytes")
                continue
            status, out, err = run(program, "-q", str(events)) if events.is_file() else (1, "", "it has no events")
            words, known = (out + err).strip().rpartition("\n")[2], CASEMATE_REFUSES.get(trace)
            taken += status == 0
            if known not in words if known else status:
                self.problem(CASEMATE, trace, words or f"exit status {status}", False)
        self.done(CASEMATE, taken, 0, time.monotonic() - begin, 0)

    def bare(self):
        """Bare machines do what README.md says, where such can be made."""
        why = "only root can make them" if os.geteuid() else "" if shutil.which("debootstrap") else "there is no debootstrap"
        if not why and self.step(BARE, "ci/bare", *BARE_SUITES, "--test", cannot=125) is None:
            why = "no root for them could be made"
        if why:
            say(f"NOT RUN: {BARE}: {why}")

    def coverage(self):
        folder = ROOT / "target/nightly-coverage"
        self.step("coverage", PARALLAX, "coverage", "--allow", "ci/uncovered.txt", "--lcov", str(folder))
        total = folder / "total.info"
        if total.is_file():
            text = total.read_text()
            count = lambda key: sum(int(number) for number in re.findall(rf"^{key}:(\d+)$", text, re.M))
            if count("LF"):
                self.measure("lines of the hypervisor", count("LF"))
                self.measure("lines reached, percent", 100 * count("LH") / count("LF"))

    def mutants(self):
        """A part of all small changes of the hypervisor, another one each night, where `cargo mutants` is installed. One that no trace
        sees is no error of the night: it is in the file."""
        if run("cargo", "mutants", "--version")[0] != 0:
            return say(f"NOT RUN: {MUTANTS}: there is no `cargo mutants` (docs/mutants.md)")
        part, file = f"{self.id % MUTANT_PARTS + 1}/{MUTANT_PARTS}", ROOT / "target/nightly-mutants.jsonl"
        begin = time.monotonic()
        say(f"{MUTANTS}, part {part}")
        status, out, err = run(PARALLAX, "mutants", "--shard", part, "--time", "40m", "--save", str(file))
        if status not in (0, 1):
            self.problem(MUTANTS, "mutants", f"exit status {status}\n{(out + err).strip()[-1500:]}", False)
        self.done(MUTANTS, 0, 0, time.monotonic() - begin, status if status not in (0, 1) else 0)
        if status in (0, 1) and file.is_file():
            fates = [json.loads(line)["fate"] for line in file.read_text().splitlines()]
            differ = [fate for fate in fates if fate not in ("unviable", "equal")]
            if differ:
                self.measure("mutants tried", len(differ))
                self.measure("mutants seen, percent", 100 * (1 - differ.count("survived") / len(differ)))

    def instructions(self):
        out = self.step("instructions of each operation", PARALLAX, "bench", "--quick")
        lines = out.partition("instructions at EL2")[2].splitlines()[1:]
        for name, count in re.findall(r"^ *(\S.*?\S) {2,}([\d,]+) ", "\n".join(lines), re.M):
            self.measure(f"instructions of {name}", int(count.replace(",", "")))
